"""What a program says of itself, put into the device's record: the sink of its annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from streamsan.sim.device.kernels import Mutation
from streamsan.sim.device.launch import queue_for
from streamsan.sim.device.pinned import Pinned
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor
from streamsan.traces import ops as o
from streamsan.traces.recorder import sink


class DeviceSink:
    """Takes annotations into the record of the run."""

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
        with RT.lock:
            RT.launch(
                queue_for(sims) if sims else RT.current(), name, Mutation(run, given, {}),
                self._spans(reads), self._spans(writes),
            )  # fmt: skip

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


def listen() -> None:
    """Take annotations from now on."""
    sink.begin(DeviceSink())
