"""What a program says of itself, put into the device's record: the sink of its annotations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from streamsan.sim.device.kernels import Mutation
from streamsan.sim.device.launch import queue_for
from streamsan.sim.device.pinned import Pinned
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor
from streamsan.traces import ops as o
from streamsan.traces.recorder import sink

Seen = dict[int, tuple[str, list[object]]]
"""What each declared kernel read, by its number: its name, and the values of its ranges."""
_SMALL = 8


class DeviceSink:
    """Takes annotations into the record of the run."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self._launched = 0

    def emit(self, op: o.OpBase) -> None:
        """Append an op of the calling thread."""
        with RT.lock:
            host = RT.enter()
            op.thread, op.site = host.name, RT.site(host)
            RT.recorder.add(op)

    def range_of(self, value: object) -> o.RangeSpec | None:
        """Give the bytes of a tensor on the device or in pinned memory."""
        return value.span if isinstance(value, SimTensor | Pinned) else None

    def kernel(
        self,
        name: str,
        run: Callable[..., object],
        arguments: Sequence[Any],
        reads: Sequence[Any],
        writes: Sequence[Any],
    ) -> None:
        """Queue one kernel on the current stream of its tensors' device."""
        sims = [each for each in (*arguments, *reads, *writes) if isinstance(each, SimTensor)]
        given = [_real(each) for each in arguments]
        if self.seen is not None:
            run = self._watched(name, run, [_real(each) for each in reads], self.seen)
        with RT.lock:
            RT.launch(
                queue_for(sims) if sims else RT.current(), name, Mutation(run, given, {}),
                self._spans(reads), self._spans(writes),
            )  # fmt: skip

    def _watched(
        self, name: str, run: Callable[..., object], reads: list[Any], seen: Seen
    ) -> Callable[..., object]:
        number = self._launched
        self._launched += 1

        def watched(*arguments: Any) -> None:
            seen[number] = (name, [_value(each) for each in reads])
            run(*arguments)

        return watched

    def watch(self) -> Seen:
        """Note from now on what every declared kernel reads when it runs."""
        self.seen, self._launched = {}, 0
        return self.seen

    def _spans(self, tensors: Sequence[Any]) -> list[o.RangeSpec]:
        return [span for each in tensors if (span := self.range_of(each)) is not None]


def _real(value: Any) -> Any:
    if isinstance(value, SimTensor | Pinned):
        return value.raw
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_real(each) for each in value))
    if type(value) in (list, tuple):
        return type(value)(_real(each) for each in value)
    if isinstance(value, torch.Tensor):
        return value.clone()  # plain memory is read at the launch, as arguments are
    return value


def _value(real: torch.Tensor) -> object:
    """Give a tensor's values, or what stands for them where they are many."""
    if real.numel() <= _SMALL:
        return real.tolist()
    return hashlib.blake2b(real.contiguous().numpy().tobytes(), digest_size=8).hexdigest()


_SINK = DeviceSink()


def listen() -> None:
    """Take annotations from now on."""
    sink.begin(_SINK)


@contextmanager
def watching() -> Iterator[Seen]:
    """Note what every declared kernel of the body reads: two schedules can then be compared."""
    try:
        yield _SINK.watch()
    finally:
        _SINK.seen = None
