"""A trace with ops left out, made asynchronous or moved. Every op keeps its number."""

from __future__ import annotations

from streamsan.sim.machine.timeline import Timeline
from streamsan.sim.machine.timeline_recorded import Timed, guess, leave_out
from streamsan.sim.machine.what_if_changes import Change
from streamsan.traces.build import TraceBuilder
from streamsan.traces.model import Op, Trace
from streamsan.traces.ops import OPS, Kind, Mark, OpBase

_BOUND_BY_NONE = (
    Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET, Kind.STREAM_WAIT_EVENT, Kind.EVENT_SYNCHRONIZE,
    Kind.STREAM_SYNCHRONIZE, Kind.DEVICE_SYNCHRONIZE, Kind.HOST_READ, Kind.HOST_WRITE,
    Kind.MALLOC, Kind.FREE, Kind.MARK,
)  # fmt: skip
"""Ops whose end leaves all others bound to what they were: the steps of a timeline show it."""


def is_of_program(trace: Trace, change: Change) -> bool:
    """Whether a change needs the program itself changed, not only steps of its timeline."""
    return bool(change.asynchronous or change.move) or any(
        trace.kind[op] not in _BOUND_BY_NONE for op in change.remove
    )


def check(trace: Trace, change: Change) -> None:
    """Check that a trace has the ops of a change of its program.

    Raises:
        IndexError: an op that the trace has not.
        ValueError: an op without a stream is moved, or has an edge.
    """
    on_streams = [op for op, _ in change.move] + [op for edge in change.edge for op in edge]
    for op in (*change.remove, *change.asynchronous, *on_streams):
        if not 0 <= op < len(trace):
            raise IndexError(f"the trace has no op {op}")
    for op in on_streams:
        if trace[op].stream is None:
            raise ValueError(f"op {op} ({trace[op].word}) is on no stream")


def changed_program(trace: Trace, change: Change) -> Trace:
    """Give the trace of the changed program; a remark stands for an op that is left out."""
    gone, moved = set(change.remove), dict(change.move)
    kept = {
        op: {key: value for key, value in more.items() if key not in _fields(trace, op)}
        for op, more in trace.extras.items()
        if op not in gone
    }
    builder = TraceBuilder()
    builder.add([_changed(view, change, gone, moved) for view in trace], kept)
    return builder.finish(trace.header)


def _fields(trace: Trace, op: int) -> tuple[str, ...]:
    return OPS[int(trace.kind[op])].__struct_fields__


def _changed(view: Op, change: Change, gone: set[int], moved: dict[int, str]) -> OpBase:
    cls = Mark if view.id in gone else OPS[view.kind]
    known = set(cls.__struct_fields__) - ({"begin", "end"} if cls is Mark else set())
    fields = {key: value for key, value in view.fields().items() if key in known}
    if view.id in change.asynchronous and "async_" in known:
        fields["async_"] = True
    if view.id in moved and "stream" in known:
        fields["stream"] = moved[view.id]
    return cls(**fields)


def measured_as(before: Timed, line: Timeline, moved: frozenset[int]) -> Timed:
    """Time a changed program, which has the same ops, as the program that was recorded.

    Args:
        before: the recorded program.
        line: the changed one.
        moved: ops that are on other streams than they were.
    """
    guess(line)
    old, new, was = before.line.moments, line.moments, before.line
    for part in ("call", "back", "begin", "end"):
        for moment, source in zip(getattr(line, part), getattr(was, part), strict=True):
            if moment >= 0 and source >= 0:
                new.lag[moment], new.gap[moment] = old.lag[source], old.gap[source]
    for op in line.works:
        begin = line.begin[op]
        if not old.others[was.begin[op]]:  # it came after nothing
            new.gap[begin] = before.usual.gap
        elif op in moved:
            new.gap[begin] = min(new.gap[begin], before.usual.gap)
    start = min(before.seen)
    seen = [start if known is None else known for known in new.seen]
    for op in before.contradicted:
        leave_out(new, seen, line.back[op])
    for op, other in before.held:
        if line.begin[op] >= 0 and line.end[other] >= 0:
            new.others[line.begin[op]].append(line.end[other])
    return before._replace(line=line, seen=seen, order=None)
