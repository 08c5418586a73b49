"""Which waits, records and synchronisations of a PyTorch profiler file are resolved.

A runtime call carries no stream and no event. Only a ``cuda_sync`` record of the same correlation
id says them, and a wait binds to a record only through the record's correlation id. The rules
E, F, G, K, L and M are those of section 5 of the page on trace sources. What stays unresolved
gives no edge: it is counted, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from streamsan.traces.formats.kineto_events import Event
from streamsan.traces.formats.kineto_facts import Facts, Stream, call_kind, stream_of

SYNC_RECORDS = frozenset({"Stream Sync", "Context Sync", "Event Sync", "Stream Wait Event"})
NO_RECORD = "no cuda_sync record, so its stream or event is not known"


class Binding(NamedTuple):
    """An event's name and device-unique id, and the stream it was recorded on."""

    event: tuple[int, int | None, int]
    stream: Stream


class Resolved:
    """What is known of synchronising calls, by correlation id."""

    def __init__(self) -> None:
        """Start with nothing resolved."""
        self.records: dict[int, Binding] = {}
        """event_record: what was recorded, and on which stream."""
        self.waits: dict[int, tuple[Binding, Stream | None]] = {}
        """stream_wait_event, event_synchronize, event_query: the event, the waiting stream."""
        self.streams: dict[int, Stream] = {}
        """stream_synchronize."""
        self.devices: dict[int, int] = {}
        """device_synchronize."""
        self.reasons: dict[int, str] = {}
        """Why a call that has a ``cuda_sync`` record is not resolved."""
        self.rows: dict[int, Event] = {}
        """The ``cuda_sync`` records themselves."""


def resolve(facts: Facts, calls: Mapping[int, Event]) -> Resolved:
    """Bind what can be bound."""
    found = Resolved()
    for row in facts.records:
        _take_record(found, row)
    for row in facts.syncs:
        correlation = row.args.correlation
        if correlation is None:
            continue
        found.rows[correlation] = row
        kind = row.args.sync or row.name
        if kind == "Stream Sync":
            stream = stream_of(row, row.args.stream)
            if stream is None:
                found.reasons[correlation] = "its cuda_sync record has no stream"
            else:
                found.streams[correlation] = stream
        elif kind == "Context Sync":
            if row.args.device is not None and row.args.device >= 0:
                found.devices[correlation] = row.args.device
        elif kind in ("Event Sync", "Stream Wait Event"):
            reason = _take_wait(found, row, calls, facts.idle)
            if reason is not None:
                found.reasons[correlation] = reason
    return found


def _take_record(found: Resolved, row: Event) -> None:
    """Take a ``cuda_event`` row (new recorders only): it names the event and its stream."""
    stream = stream_of(row, row.args.stream)
    args = row.args
    if stream is not None and args.correlation is not None and args.recorded is not None:
        event = (stream.device, stream.context, args.recorded)
        found.records[args.correlation] = Binding(event, stream)


def _take_wait(
    found: Resolved, row: Event, calls: Mapping[int, Event], idle: Collection[int | None]
) -> str | None:
    """Bind a wait to its record (F, G), or say why it cannot be done."""
    args = row.args
    record, source = args.record, stream_of(row, args.waits_on)
    reason = _check_record(row, record, calls, idle)
    if reason is not None or record is None:
        return reason
    if source is None or args.event is None:
        return "its cuda_sync record lacks the event or the stream recorded on"
    target = None
    if (args.sync or row.name) == "Stream Wait Event":
        target = stream_of(row, args.stream)
        if target is None:
            return "its cuda_sync record has no waiting stream"
    binding = Binding((source.device, source.context, args.event), source)
    if found.records.setdefault(record, binding) != binding:
        return "two cuda_sync records disagree about its event record"
    found.waits[args.correlation or 0] = (binding, target)
    return None


def _check_record(
    row: Event, record: int | None, calls: Mapping[int, Event], idle: Collection[int | None]
) -> str | None:
    if record is None or record < 0:
        return "its record is not known (record id -1)"  # L
    if record >= (row.args.correlation or 0):
        return "its record lies in the future (wrong record id)"  # M
    call = calls.get(record)
    if record in idle or (call is not None and call_kind(call.name) != "record"):
        return "its record id names a call that is no event record"
    return None
