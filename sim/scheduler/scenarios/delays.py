"""Delays placed in a running program, and what its kernels then read: a race made to show itself.

A finding names two ops that nothing orders. Work that takes long, queued right before the first of
them, lets the second overtake it, on a GPU as on the simulated device under ``timed``. That is the
finding's witness as an experiment: nothing but time is changed, which no correct program can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from streamsan.sim.scheduler.scenarios.notes import Notes, Seen
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces.ops import OpBase, RangeSpec
from streamsan.traces.recorder import sink
from streamsan.traces.recorder.annotate import current_name

_MEASURED = 20_000_000


@dataclass(frozen=True)
class Delay:
    """Work that takes ``cycles`` of the device, right before an op.

    Args:
        label: the op as scenarios name it, ``publish@F``: its name, and its stream's.
        nth: which op of that label, from 0.
        cycles: clock cycles of the device; ns on the simulated one.
    """

    label: str
    nth: int
    cycles: int


class Experiment(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """One run of a scheduler under delays: counts ops by label, and notes what kernels read.

    Args:
        device: ``cuda`` or ``simcuda``.
        delays: where to delay.
        serial: wait for the device after every op, as ``CUDA_LAUNCH_BLOCKING`` does: what comes of
            the program if no two ops ever overlap.
        noting: whether kernels copy what they read, behind the delay, for ``seen``.
        pace: called before each op: lets time go by for the host where only calls take any.
    """

    def __init__(
        self,
        device: str,
        delays: Sequence[Delay] = (),
        *,
        serial: bool = False,
        noting: bool = False,
        pace: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.labels: Counter[str] = Counter()
        """How many ops of each label there were."""
        self._module: Any = getattr(torch, device)
        self._device = device
        self._cycles = {(each.label, each.nth): each.cycles for each in delays}
        self._serial = serial
        self._pace = pace
        self._inside = False
        self._stream_name: Callable[[Any], str] | None = None
        self._notes = Notes(device) if noting else None
        self._outer = sink.active()

    def follow(self, scheduler: Scheduler) -> None:
        """Look at this scheduler's streams from now on."""
        self._stream_name = scheduler.streams.name_of

    @property
    def seen(self) -> Seen:
        """What declared kernels read, once the device is done."""
        return {} if self._notes is None else self._notes.values()

    # -- ops of torch

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Carry an op out, with its delay before it."""
        del types
        kwargs = kwargs or {}
        if self._inside or not self._is_work(func, args, kwargs):
            return func(*args, **kwargs)
        self._arrive(current_name() or str(func.overloadpacket.__name__))
        made = func(*args, **kwargs)
        self._leave()
        return made

    def _is_work(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if func.is_view:
            return False
        target = kwargs.get("device")
        given = [each for arg in args for each in (arg if isinstance(arg, list | tuple) else [arg])]
        return (target is not None and torch.device(target).type == self._device) or any(
            isinstance(each, torch.Tensor) and each.device.type == self._device for each in given
        )

    def _arrive(self, name: str) -> None:
        """Count an op that is about to be issued, and put its delay before it."""
        if self._pace is not None:
            self._pace()
        if self._stream_name is None:
            return
        label = f"{name}@{self._stream_name(self._module.current_stream())}"
        cycles = self._cycles.get((label, self.labels[label]))
        self.labels[label] += 1
        if cycles is not None:
            self._module._sleep(cycles)  # noqa: SLF001 - torch's own means for such tests

    def _leave(self) -> None:
        if self._serial:
            self._module.synchronize()

    # -- declared kernels: this is a sink of annotations too

    def emit(self, op: OpBase) -> None:
        """Pass on."""
        if self._outer is not None:
            self._outer.emit(op)

    def range_of(self, value: object) -> RangeSpec | None:
        """Pass on."""
        return None if self._outer is None else self._outer.range_of(value)

    def kernel(
        self,
        name: str,
        run: Callable[..., object],
        arguments: Sequence[Any],
        reads: Sequence[Any],
        writes: Sequence[Any],
    ) -> None:
        """Launch a declared kernel behind its delay; the ops inside are not counted."""
        self._arrive(name)
        self._inside = True
        try:
            if self._notes is not None:
                self._notes.take(name, reads)
            if self._outer is None:
                run(*arguments)
            else:
                self._outer.kernel(name, run, arguments, reads, writes)
        finally:
            self._inside = False
        self._leave()


@contextmanager
def experiment(device: str, delays: Sequence[Delay] = (), **how: Any) -> Iterator[Experiment]:
    """Run the body under delays; see ``Experiment``."""
    made = Experiment(device, delays, **how)
    sink.begin(made)
    try:
        with made:
            yield made
    finally:
        sink.end(made)


def cycles_per_ms(device: str) -> float:
    """Measure how many cycles make a millisecond: a GPU's clock is what it is at the time."""
    if device == "simcuda":
        return 1e6
    module: Any = getattr(torch, device)
    begin, end = module.Event(enable_timing=True), module.Event(enable_timing=True)
    for _ in range(2):  # the first is slow
        begin.record()
        module._sleep(_MEASURED)  # noqa: SLF001
        end.record()
        module.synchronize()
    return _MEASURED / float(begin.elapsed_time(end))
