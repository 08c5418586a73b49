"""What the program declares of itself, as the recorder of a real device takes it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, strided

from streamsan.traces import ops as o
from streamsan.traces.recorder.live.arguments import Args, tensors
from streamsan.traces.recorder.live.observer import Observer


class Declared:
    """The sink of annotations while a real device is recorded."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def emit(self, op: o.OpBase) -> None:
        """Append an op of the calling thread."""
        self._observer.emit(op)

    def range_of(self, value: object) -> o.RangeSpec | None:
        """Give the bytes of a tensor on the device or in pinned memory."""
        observer = self._observer
        if not isinstance(value, Tensor) or value.layout is not strided:
            return None
        if observer.platform.on_device(value):
            return observer.blocks.span(value)
        return observer.host.span(value) if observer.host.is_pinned(value) else None

    def kernel(
        self,
        name: str,
        run: Callable[..., object],
        arguments: Args,
        reads: Args,
        writes: Args,
    ) -> None:
        """Run what the program says is one kernel, on the current stream of its tensors."""
        observer = self._observer
        spans = [
            [span for each in given if (span := self.range_of(each)) is not None]
            for given in (reads, writes)
        ]
        found = tensors((*arguments, *reads, *writes))
        first = next((each for each in found if observer.platform.on_device(each)), None)
        with observer.ranged():
            with observer.local.quietly():
                run(*arguments)
            where = observer.here() if first is None else observer.stream_of(first)
            observer.launch(where, name, *spans)
