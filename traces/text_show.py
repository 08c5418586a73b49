"""Write a trace in the mini-language of ``traces/text.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces import text_values as v
from streamsan.traces.layout import LAYOUTS
from streamsan.traces.text_values import SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsan.traces.model import Op, Trace

_SHOWN = {"event_record": "record", "stream_wait_event": "wait", "event_synchronize": "sync"}


def format_trace(trace: Trace) -> str:
    """Write a trace as text that ``parse`` reads back to the same ops and header.

    Damage, gaps and the path are no part of the text.
    """
    streams = {trace.names[i] for i in set(trace.stream_name.tolist()) if i >= 0}
    lines = [*_header_lines(trace), *(_show(op, streams) for op in trace)]
    return "".join(line + "\n" for line in lines)


def _header_lines(trace: Trace) -> Iterator[str]:
    header, default = trace.header, o.Header()
    for key in o.Header.__struct_fields__:
        value = getattr(header, key)
        if value == getattr(default, key):
            continue
        if isinstance(value, o.Semantics | o.Complete):
            usual = type(value)()
            given = {k: getattr(value, k) for k in value.__struct_fields__}
            given = {k: b for k, b in given.items() if b != getattr(usual, k)}
            yield f"#! {key} " + " ".join(f"{k}={v.show_json(b)}" for k, b in given.items())
        else:
            yield f"#! {key} {v.show_json(value)}"
    for key, value in trace.header_extras.items():
        yield f"#! +{key} {v.show_json(value)}"


def _show(op: Op, streams: set[str]) -> str:
    """Write one op."""
    fields, shape = op.fields(), SHAPES[op.word]
    layout, cls = LAYOUTS[o.OPS[op.kind]], o.OPS[op.kind]
    known = {*cls.__struct_fields__}
    unknown = {k: fields.pop(k) for k in list(fields) if k not in known}
    word = _SHOWN.get(op.word, op.word)
    if op.word == "stream_write_value" and "stream" not in fields:
        word, shape = "store", shape._replace(on_stream=False)
    parts = [_show_prefix(fields, shape, streams) + word]
    for field in (*shape.needs, *shape.may):
        if field in fields:
            at_device = ""
            if field == "stream" and shape.needs == ("stream",) and "device" in fields:
                at_device = f"@{fields.pop('device')}"
            parts.append(v.show_field(cls, field, fields.pop(field)) + at_device)
            if field == "src":
                parts.append("->")
        elif field in shape.may:
            break
    defaults = {f.name: f.default for f in msgspec.structs.fields(cls)}
    for field, _ in layout.bits:
        value = fields.pop(field, None)
        if value is None or value == defaults[field]:
            continue
        text = "sync" if value is False else str(value)
        parts.append(text if field in shape.words else f"{field}={text}")
    short = {"reads": "r", "writes": "w"}
    parts += [f"{short.get(k, k)}={v.show_field(cls, k, w)}" for k, w in fields.items()]
    parts += [f"+{v.show_name(k)}={v.show_json(w)}" for k, w in unknown.items()]
    return " ".join(parts)


def _show_prefix(fields: dict[str, Any], shape: Shape, streams: set[str]) -> str:
    thread = fields.get("thread")
    if not shape.on_stream:
        if thread is None or thread in streams:  # a thread that is called like a stream: a key
            return ""
        return f"{v.show_name(fields.pop('thread'))}: "
    before = "" if thread is None else f"{v.show_name(fields.pop('thread'))}/"
    device = f"@{fields.pop('device')}" if "device" in fields else ""
    return f"{before}{v.show_name(fields.pop('stream'))}{device}: "
