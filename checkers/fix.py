"""Applies the fixes of findings to a trace, so that they can be seen to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from streamsan.traces import Trace
from streamsan.traces.build import TraceBuilder
from streamsan.traces.model import Op
from streamsan.traces.ops import (
    OPS,
    EventRecord,
    EventSynchronize,
    OpBase,
    StreamWaitEvent,
)

_EVENT = "streamsan:fix"
Fix = Mapping[str, Any]


class Edited(NamedTuple):
    """A trace with fixes applied.

    ``origin`` has, for each of its ops, the op of the first trace, or -1 for one that a fix added;
    ``added`` has, for each fix, the record and the wait in the new trace, -1 for none.
    """

    trace: Trace
    origin: tuple[int, ...]
    added: tuple[tuple[int, int], ...]

    def now(self, op: int) -> int:
        """Give where an op of the first trace is now; -1 where it was removed."""
        return self.origin.index(op) if op in self.origin else -1


def apply_fix(trace: Trace, fix: Fix) -> Trace:
    """Give the trace with the one edge of ``fix`` added, or its one op removed.

    Raises:
        KeyError: ``fix`` is no fix of trace-format.md.
    """
    return apply_fixes(trace, [fix]).trace


def apply_fixes(trace: Trace, fixes: Sequence[Fix]) -> Edited:
    """Give the trace with the edges of fixes added, each with an event of its own.

    A record or a wait has the stack of the op that it stands beside: that is where it belongs.

    Raises:
        KeyError: one is no fix of trace-format.md.
    """
    waits, records = _by_place(fixes)
    removed = {fix["remove"] for fix in fixes if "remove" in fix}
    event = _unused(trace)
    ops: list[OpBase] = []
    origin: list[int] = []
    added = [[-1, -1] for _ in fixes]
    for view in trace:
        for turn in waits.get(view.id, ()):
            added[turn][1] = len(ops)
            ops.append(_wait(trace, fixes[turn]["wait"], f"{event}:{turn + 1}", view))
            origin.append(-1)
        if view.id not in removed:
            known = OPS[view.kind].__struct_fields__
            ops.append(OPS[view.kind](**{k: v for k, v in view.fields().items() if k in known}))
            origin.append(view.id)
        for turn in records.get(view.id, ()):
            added[turn][0] = len(ops)
            ops.append(_record(trace, fixes[turn]["record"], f"{event}:{turn + 1}", view))
            origin.append(-1)
    builder = TraceBuilder()
    builder.add(ops)
    made = builder.finish(trace.header, trace.path, header_extras=trace.header_extras)
    return Edited(made, tuple(origin), tuple((one, other) for one, other in added))


def _by_place(fixes: Sequence[Fix]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Give the fixes that wait before an op, and those that record after one, by the op."""
    waits: dict[int, list[int]] = {}
    records: dict[int, list[int]] = {}
    for turn, fix in enumerate(fixes):
        if "remove" not in fix:
            waits.setdefault(fix["wait"]["before"], []).append(turn)
            records.setdefault(fix["record"]["after"], []).append(turn)
    return waits, records


def _unused(trace: Trace) -> str:
    """Give a name for events that no name of the trace begins with."""
    event = _EVENT
    while any(name.startswith(event) for name in trace.names):
        event += "'"
    return event


def _stream(trace: Trace, label: str) -> tuple[str, int]:
    """Give the name and the device of a stream by its label (``0@1``: the legacy one of 1)."""
    index = trace.streams.label.index(label)
    op = int((trace.streams.of_op == index).argmax())
    return trace.names[trace.stream_name[op]], trace.streams.device[index]


def _site(view: Op) -> int | None:
    site = int(view.trace.site[view.id])
    return None if site < 0 else site


def _record(trace: Trace, record: Fix, event: str, beside: Op) -> OpBase:
    stream, device = _stream(trace, record["stream"])
    return EventRecord(
        event=event, stream=stream, device=device, thread=beside.thread, site=_site(beside)
    )


def _wait(trace: Trace, wait: Fix, event: str, beside: Op) -> OpBase:
    if "thread" in wait:
        return EventSynchronize(event=event, thread=wait["thread"], site=_site(beside))
    stream, device = _stream(trace, wait["stream"])
    return StreamWaitEvent(
        event=event, stream=stream, device=device, thread=beside.thread, site=_site(beside)
    )
