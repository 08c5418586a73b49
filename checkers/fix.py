"""Applies a finding's fix to a trace, so that it can be seen to work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsan.traces import Trace
from streamsan.traces.build import TraceBuilder
from streamsan.traces.ops import (
    OPS,
    EventRecord,
    EventSynchronize,
    OpBase,
    StreamWaitEvent,
)

_EVENT = "streamsan:fix"


def apply_fix(trace: Trace, fix: Mapping[str, Any]) -> Trace:
    """Give the trace with the one edge of ``fix`` added, or its one op removed.

    Raises:
        KeyError: ``fix`` is no fix of trace-format.md.
    """
    ops: list[OpBase] = []
    for view in trace:
        if view.id == fix.get("remove"):
            continue
        if "wait" in fix and view.id == fix["wait"]["before"]:
            ops.append(_wait(trace, fix["wait"]))
        fields = view.fields()
        known = OPS[view.kind].__struct_fields__
        ops.append(OPS[view.kind](**{k: v for k, v in fields.items() if k in known}))
        if "record" in fix and view.id == fix["record"]["after"]:
            stream, device = _stream(trace, fix["record"]["stream"])
            ops.append(EventRecord(event=_EVENT, stream=stream, device=device, thread=view.thread))
    builder = TraceBuilder()
    builder.add(ops)
    return builder.finish(trace.header, trace.path, header_extras=trace.header_extras)


def _stream(trace: Trace, label: str) -> tuple[str, int]:
    """Give the name and the device of a stream by its label (``0@1``: the legacy one of 1)."""
    index = trace.streams.label.index(label)
    op = int((trace.streams.of_op == index).argmax())
    return trace.names[trace.stream_name[op]], trace.streams.device[index]


def _wait(trace: Trace, wait: Mapping[str, Any]) -> OpBase:
    thread = trace[wait["before"]].thread
    if "thread" in wait:
        return EventSynchronize(event=_EVENT, thread=wait["thread"])
    stream, device = _stream(trace, wait["stream"])
    return StreamWaitEvent(event=_EVENT, stream=stream, device=device, thread=thread)
