"""The rows of an Nsight Systems export that say something about streams, by their meaning.

Columns: the table of section 6 of the page on trace sources. Times are ns of the session's clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from streamsan.traces.formats.nsys_db import Export

UNSET = 4294967295
"""What stands in a column for a stream, event or record id that is not known."""
_PREFIX = "CUPTI_ACTIVITY_KIND_"
_PROCESS = ~0xFFFFFF
_VERSION = re.compile(r"_v[0-9]+$")


class Stream(NamedTuple):
    """A stream as CUPTI numbers it within a context of a process."""

    pid: int
    context: int
    number: int


class Call(NamedTuple):
    """An API call; ``result`` is 0 on success."""

    pid: int
    thread: int
    correlation: int
    name: str
    start: int
    end: int
    result: int


class Work(NamedTuple):
    """Device work. ``kind``: kernel, memcpy, memset or graph; ``what``: the rest, by kind.

    Of a copy ``what`` is its kind and the kinds of its two memories; of a fill the kind of its
    memory; of a kernel its name's id and the id of its graph's node.
    """

    kind: str
    stream: Stream
    device: int
    correlation: int | None
    start: int
    end: int
    bytes: int | None
    what: tuple[int | None, ...]


class Sync(NamedTuple):
    """What a synchronising call concerned; None for what the row leaves unset."""

    context: int | None
    stream: int | None
    event: int | None
    record: int | None
    type: int | None


class Record(NamedTuple):
    """An event record: the stream, the event's id and the record's own id."""

    stream: Stream
    event: int
    record: int


def pid_of(wide: int) -> int:
    """Give the process id of a global process or thread id."""
    return (wide >> 24) & 0xFFFFFF


def find_calls(export: Export, names: Mapping[int, str]) -> Iterator[Call]:
    """Give the API calls, of the runtime and of the driver: both stand in one table."""
    words = {key: _VERSION.sub("", name) for key, name in names.items()}
    columns = ("globalTid", "correlationId", "nameId", "start", "end", "returnValue")
    for wide, key, name, start, end, result in export.rows(_PREFIX + "RUNTIME", columns):
        if wide is None or key is None or start is None:
            continue
        stop = start if end is None else end
        word = words.get(name or 0, "?")
        yield Call(pid_of(wide), wide & ~_PROCESS, key, word, start, stop, result or 0)


_WORK = {
    "kernel": ("KERNEL", ("shortName", "graphNodeId")),
    "memcpy": ("MEMCPY", ("copyKind", "srcKind", "dstKind", "graphNodeId")),
    "memset": ("MEMSET", ("memKind", "graphNodeId")),
    "graph": ("GRAPH_TRACE", ("graphId",)),
}


def find_work(export: Export, kind: str) -> Iterator[Work]:
    """Give the device work of a kind. Work without a stream or a time is left out."""
    table, further = _WORK[kind]
    columns = ("globalPid", "contextId", "streamId", "deviceId", "correlationId", "start", "end",
               "bytes", *further)  # fmt: skip
    for wide, context, stream, device, key, start, end, size, *what in export.rows(
        _PREFIX + table, columns
    ):
        if wide is None or context is None or stream in (None, UNSET) or start is None:
            continue
        if device is None or not 0 <= device < UNSET // 2:
            continue
        where = Stream(pid_of(wide), context, stream or 0)
        stop = start if end is None else end
        yield Work(kind, where, device, key, start, stop, size, tuple(what))


def find_syncs(export: Export) -> dict[tuple[int, int], Sync]:
    """Give the synchronisation rows by process and correlation id, which is unique only there.

    ``deviceId`` is not read: it names device 0 for the contexts of other devices.
    """
    columns = ("globalPid", "correlationId", "contextId", "streamId", "eventId", "eventSyncId",
               "syncType")  # fmt: skip
    found = {}
    for wide, key, context, stream, event, record, kind in export.rows(
        _PREFIX + "SYNCHRONIZATION", columns
    ):
        if wide is not None and key is not None:
            found[pid_of(wide), key] = Sync(context, _set(stream), _set(event), _set(record), kind)
    return found


def find_records(export: Export) -> dict[tuple[int, int], Record]:
    """Give the event records by process and correlation id; the table is often not there."""
    columns = ("globalPid", "correlationId", "contextId", "streamId", "eventId", "eventSyncId")
    found = {}
    for wide, key, context, stream, event, record in export.rows(_PREFIX + "CUDA_EVENT", columns):
        if None in (wide, key, context, event) or _set(stream) is None or not _set(record):
            continue
        pid = pid_of(wide or 0)
        where = Stream(pid, context or 0, stream or 0)
        found[pid, key or 0] = Record(where, event or 0, record or 0)
    return found


def _set(value: int | None) -> int | None:
    return None if value == UNSET else value


class StreamInfo(NamedTuple):
    """What the export says of a stream: CUPTI's flag and its priority."""

    flag: int | None
    priority: int | None


def find_streams(export: Export) -> dict[Stream, StreamInfo]:
    """Give flags and priorities of streams; null streams of contexts stand in another table too."""
    found = {}
    columns = ("processId", "contextId", "streamId", "flag", "priority")
    for pid, context, stream, flag, priority in export.rows("TARGET_INFO_CUDA_STREAM", columns):
        if pid is None or context is None or stream is None:
            continue
        signed = priority if priority is None or priority <= UNSET // 2 else priority - UNSET - 1
        found[Stream(pid, context, stream)] = StreamInfo(flag, signed)
    null = ("processId", "contextId", "nullStreamId")
    for pid, context, stream in export.rows("TARGET_INFO_CUDA_CONTEXT_INFO", null):
        if pid is not None and context is not None and _set(stream) is not None:
            found[Stream(pid, context, stream or 0)] = StreamInfo(NULL, None)
    return found


BLOCKING, NULL = 1, 3
"""Flags of streams: made by default, and the null stream."""
