"""What must be said before the ops that a ring kept, so that they are a trace by themselves.

Every op that falls out of the ring leaves its mark here: what lives, what an event recorded last,
which region is open. An event's record is told again on its stream: it captured work that fell
out, and nothing of what was kept, which is what it captures there. All paths between two kept ops
run over kept ops, so no order is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import light


class Cut:
    """The state at the moment before the first op that was kept."""

    def __init__(self) -> None:
        self.dropped = 0
        self._streams: dict[str, o.OpBase] = {}
        self._buffers: dict[str, list[o.OpBase]] = {}
        self._events: dict[str, o.OpBase] = {}
        self._graphs: dict[str, o.OpBase] = {}
        self._tokens: dict[str, o.OpBase] = {}
        self._tasks: dict[str, o.OpBase] = {}
        self._slots: dict[str, o.OpBase] = {}
        self._regions: dict[str, list[o.OpBase]] = {}
        steps: dict[type[o.OpBase], Callable[[Any], object]] = {
            o.StreamCreate: lambda op: self._streams.update({op.stream: op}),
            o.StreamDestroy: lambda op: self._streams.pop(op.stream, None),
            o.Malloc: self._allocate,
            o.MallocAsync: self._allocate,
            o.Free: lambda op: self._buffers.pop(op.buffer, None),
            o.FreeAsync: lambda op: self._buffers.pop(op.buffer, None),
            o.RecordStream: lambda op: self._about(op.buffer, op),
            o.HostRegister: lambda op: self._about(op.buffer, op),
            o.HostUnregister: lambda op: self._about(op.buffer, op),
            o.HostEscape: lambda op: self._about(_buffer(op.buffer), op),
            o.EventRecord: lambda op: self._events.update({op.event: op}),
            o.EventDestroy: lambda op: self._events.pop(op.event, None),
            o.GraphCapture: lambda op: self._graphs.update({op.graph: op}),
            o.HostTaskSubmit: lambda op: self._tasks.update({op.task: op}),
            o.HostTaskDone: lambda op: self._tasks.pop(op.task, None),
            o.Signal: self._signal,
            o.Await: lambda op: self._tokens.pop(op.token, None),
            o.SlotDefer: lambda op: self._slots.update({op.slot: op}),
            o.SlotResolve: lambda op: self._slots.update({op.slot: op}),
            o.SlotConsume: lambda op: self._slots.update({op.slot: op}),
            o.RegionBegin: lambda op: self._regions.setdefault(op.thread, []).append(op),
            o.RegionEnd: self._end_region,
        }  # fmt: skip
        self._steps = steps | {light(cls): step for cls, step in steps.items()}

    def absorb(self, op: o.OpBase) -> None:
        """Take an op that falls out of the ring."""
        self.dropped += 1
        step = self._steps.get(type(op))
        if step is not None:
            step(op)

    def head(self) -> list[o.OpBase]:
        """Give the ops to stand before those that were kept."""
        if not self.dropped:
            return []
        kept = [*self._streams.values(), *(op for ops in self._buffers.values() for op in ops)]
        for each in (self._events, self._graphs, self._tokens, self._tasks, self._slots):
            kept += each.values()
        kept += [op for ops in self._regions.values() for op in ops]
        mark = light(o.Mark)(name="ring", tag={"dropped": self.dropped})
        return [mark, *kept]

    def _allocate(self, op: Any) -> None:
        self._buffers[op.buffer] = [op]

    def _about(self, buffer: str, op: o.OpBase) -> None:
        """Keep what was said of a buffer, once."""
        said = self._buffers.setdefault(buffer, [])
        key = (type(op), getattr(op, "stream", None))
        if all((type(each), getattr(each, "stream", None)) != key for each in said):
            said.append(op)

    def _signal(self, op: Any) -> None:
        """Keep the last signals: a token is awaited soon, or never."""
        self._tokens.pop(op.token, None)
        self._tokens[op.token] = op
        if len(self._tokens) > _TOKENS:
            del self._tokens[next(iter(self._tokens))]

    def _end_region(self, op: Any) -> None:
        if (opened := self._regions.get(op.thread)) is not None and opened:
            opened.pop()


_TOKENS = 1000


def _buffer(spec: o.RangeSpec) -> str:
    if isinstance(spec, str):
        return spec
    return spec.buffer if isinstance(spec, o.StridedRange) else spec[0]
