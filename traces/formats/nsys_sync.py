"""Synchronising calls of an Nsight Systems export: which become ops, and why others do not.

What a call is follows from its name alone: ``syncType`` is off by one in some exports of schema
3.24 (section 6 of the page on trace sources). A wait binds to its record by the record's own id;
an event's id is used again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streamsan.traces import ops as o
from streamsan.traces.formats.nsys_names import Names
from streamsan.traces.formats.nsys_rows import Call, Record, Stream, Sync

NOT_READY = 600
"""The result of a query that found work pending."""
UNRESOLVED = {
    "device": "device_synchronize", "stream": "stream_synchronize", "event": "event_synchronize",
    "wait": "stream_wait_event", "record": "event_record", "opaque": "unknown",
}  # fmt: skip
_NO_ROW = "no synchronisation row, so its stream or event is not known"
_NO_RECORD = "no row of its event record (event tracing was off), so what it waits for is not known"


class Syncs(NamedTuple):
    """The facts of synchronising calls, by process and correlation id."""

    rows: Mapping[tuple[int, int], Sync]
    records: Mapping[tuple[int, int], Record]
    by_record: Mapping[tuple[int, int], tuple[int, Record]]
    """By process and the record's own id: the correlation id of its call, and the record."""
    names: Names


def bind(
    rows: Mapping[tuple[int, int], Sync], records: Mapping[tuple[int, int], Record], names: Names
) -> Syncs:
    """Index the records by their own ids."""
    by_record = {(pid, r.record): (key, r) for (pid, key), r in records.items()}
    return Syncs(rows, records, by_record, names)


def resolve(syncs: Syncs, call: Call, kind: str) -> o.OpBase | str:
    """Give the op of a synchronising call, or the reason why there is none."""
    row = syncs.rows.get((call.pid, call.correlation))
    if kind == "device":
        return _device(syncs, call, row)
    if kind == "record":
        record = syncs.records.get((call.pid, call.correlation))
        name = None if record is None else syncs.names.of.get(record.stream)
        if record is None or name is None:
            return "its row is not in the file (event tracing was off)"
        device = syncs.names.device[record.stream]
        return o.EventRecord(event=syncs.names.event(record), stream=name, device=device)
    if kind == "opaque":
        free = "it may synchronise the device, and its buffer is not known"
        return free if "Free" in call.name else "its stream is not known"
    if row is None:
        return _NO_ROW
    return _stream(syncs, call, row) if kind == "stream" else _event(syncs, call, row, kind)


def _device(syncs: Syncs, call: Call, row: Sync | None) -> o.OpBase | str:
    """A context is of one device; without a row, a process with one device has no other."""
    mine = {d for s, d in syncs.names.device.items() if s.pid == call.pid
            and (row is None or row.context in (None, s.context))}  # fmt: skip
    if len(mine) != 1:
        return "which device it waited for is not known"
    return o.DeviceSynchronize(device=mine.pop())


def _stream(syncs: Syncs, call: Call, row: Sync) -> o.OpBase | str:
    name, device = _named(syncs, call, row)
    if name is None:
        return "its synchronisation row has no stream"
    return o.StreamSynchronize(stream=name, device=device)


def _named(syncs: Syncs, call: Call, row: Sync) -> tuple[str | None, int]:
    if row.context is None or row.stream is None:
        return None, 0
    stream = Stream(call.pid, row.context, row.stream)
    return syncs.names.of.get(stream), syncs.names.device.get(stream, 0)


def _event(syncs: Syncs, call: Call, row: Sync, kind: str) -> o.OpBase | str:
    found = syncs.by_record.get((call.pid, row.record or 0))
    if found is None:
        return _NO_RECORD
    key, record = found
    if key >= call.correlation:
        return "its record lies in the future"
    event = syncs.names.event(record)
    if kind == "event":
        return o.EventSynchronize(event=event)
    if kind == "query":
        return o.EventQuery(event=event, result="not_ready" if call.result else "success")
    name, device = _named(syncs, call, row)
    if name is None:
        return "its synchronisation row has no waiting stream"
    return o.StreamWaitEvent(stream=name, event=event, device=device)
