"""The time of a trace with an op removed, made asynchronous or moved, or with an edge added."""

from __future__ import annotations

from typing import Any, NamedTuple

from streamsan.sim.machine.costs import Costs
from streamsan.sim.machine.timing import MODEL, Timing, time_of
from streamsan.traces.build import from_ops
from streamsan.traces.model import Op, Trace
from streamsan.traces.ops import OPS, EventRecord, OpBase, StreamWaitEvent

_EVENT = "streamsan:what-if"


class Edit(NamedTuple):
    """A change of a trace; what is None stays as it is."""

    remove: int | None = None
    unblock: int | None = None
    """A copy that is made asynchronous."""
    move: tuple[int, str] | None = None
    """An op, and the stream that it is moved to."""
    edge: tuple[int, int] | None = None
    """Two ops on streams: the second one's stream waits for the first."""


class Saving(NamedTuple):
    """How long the trace takes as it is, and with an edit (ns)."""

    before: Timing
    after: Timing

    @property
    def ns(self) -> int:
        """What the edit saves; below zero what it costs."""
        return self.before.makespan - self.after.makespan


def saving_of(trace: Trace, edit: Edit, costs: Costs = MODEL) -> Saving:
    """Compare the times of a trace and of an edited one.

    Raises:
        IndexError: an op that the trace has not.
        ValueError: an op without a stream is moved, or has an edge.
    """
    return Saving(time_of(trace, costs), time_of(edited(trace, edit), costs))


def edited(trace: Trace, edit: Edit) -> Trace:
    """Give the trace with an edit.

    Raises:
        IndexError: an op that the trace has not.
        ValueError: an op without a stream is moved, or has an edge.
    """
    on_streams = [*(edit.edge or ()), *([] if edit.move is None else [edit.move[0]])]
    for op in (edit.remove, edit.unblock, *on_streams):
        if op is not None and not 0 <= op < len(trace):
            raise IndexError(f"the trace has no op {op}")
    for op in on_streams:
        if trace[op].stream is None:
            raise ValueError(f"op {op} ({trace[op].word}) is on no stream")
    ops: list[OpBase] = []
    for view in trace:
        if view.id == edit.remove:
            continue
        if edit.edge is not None and view.id == edit.edge[1]:
            ops.append(StreamWaitEvent(event=_EVENT, **_place(view)))
        ops.append(_changed(view, edit))
        if edit.edge is not None and view.id == edit.edge[0]:
            ops.append(EventRecord(event=_EVENT, **_place(view)))
    return from_ops(ops, trace.header)


def _changed(view: Op, edit: Edit) -> OpBase:
    known = OPS[view.kind].__struct_fields__
    fields = {key: value for key, value in view.fields().items() if key in known}
    if view.id == edit.unblock and "async_" in known:
        fields["async_"] = True
        fields.pop("wait", None)
    if edit.move is not None and view.id == edit.move[0]:
        fields["stream"] = edit.move[1]
    return OPS[view.kind](**fields)


def _place(view: Op) -> dict[str, Any]:
    return {"stream": str(view.stream), "device": view.device, "thread": view.thread}
