"""Nsight Systems SQLite exports (``nsys export --type sqlite``), of schemas 3.24, 3.25 and near.

The facts are those of section 6 of the page on trace sources. The file has no addresses, so no
conflict can be proved from it: the header says that nothing is complete, copies touch empty
ranges, and each kind of missing fact is counted in ``Trace.gaps``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import BinaryIO

from streamsan.traces import ops as o
from streamsan.traces.build import TraceBuilder
from streamsan.traces.formats import Format
from streamsan.traces.formats.container import paused_gc
from streamsan.traces.formats.nsys_db import MAGIC, Export, open_export
from streamsan.traces.formats.nsys_names import Memories, Names, devices_of
from streamsan.traces.formats.nsys_ops import Key, Writer, in_issue_order
from streamsan.traces.formats.nsys_rows import (
    Stream,
    Work,
    find_calls,
    find_records,
    find_streams,
    find_syncs,
    find_work,
)
from streamsan.traces.formats.nsys_sync import bind
from streamsan.traces.model import Damage, Trace

_COMPLETE = o.Complete(accesses=False, host=False, sync=False, memory=False)


def sniff(head: bytes) -> bool:
    """Tell whether content is an SQLite database; ``read`` tells which."""
    return head.startswith(MAGIC)


def read(stream: BinaryIO, path: str) -> Trace:
    """Make a Trace of the decompressed content of an export.

    Raises:
        TraceError: it is a database of another kind, or a table has another shape.
    """
    with paused_gc(), open_export(stream, path) as export:
        writer = _write(export)
        header = _header(export)
        damage = None
        if export.damage is not None:
            damage = Damage(export.damage, len(writer.ops), None, None)
    builder = TraceBuilder()
    builder.add(writer.ops, writer.keys)
    return builder.finish(header, path, damage=damage, gaps=writer.gaps)


def _write(export: Export) -> Writer:
    texts = export.texts("StringIds", "id", "value")
    calls = list(find_calls(export, texts))
    group: dict[Key, list[Work]] = defaultdict(list)
    alone: list[Work] = []
    for kind in ("kernel", "memcpy", "memset", "graph"):
        for work in find_work(export, kind):
            if work.correlation is None:
                alone.append(work)
            else:
                group[work.stream.pid, work.correlation].append(work)
    rows, records, info = find_syncs(export), find_records(export), find_streams(export)
    mentioned = [
        Stream(pid, row.context, row.stream)
        for (pid, _), row in rows.items()
        if row.context is not None and row.stream is not None
    ]
    mentioned += [record.stream for record in records.values()]
    every = [*alone, *(work for works in group.values() for work in works)]
    names = Names(devices_of(((w.stream, w.device) for w in every), mentioned), info)
    writer = Writer(bind(rows, records, names), texts, Memories(export), _clock(export))
    writer.declare(info)
    known = {(call.pid, call.correlation) for call in calls}
    alone += [work for key, works in group.items() if key not in known for work in works]
    for work in sorted(alone, key=lambda w: w.start):
        writer.early(work)
    for call in in_issue_order(calls):
        writer.call(call, group.get((call.pid, call.correlation), ()))
    _note(writer, names, every)
    return writer


def _note(writer: Writer, names: Names, every: list[Work]) -> None:
    """Say what was taken for granted."""
    if names.guessed:
        writer.gap(
            "streams whose flags are not in the file: taken as non-blocking, and stream 7 of a "
            "process's first context as the legacy default stream", names.guessed,
        )  # fmt: skip
    processes = len({stream.pid for stream in names.of})
    if processes > 1:
        writer.gap("processes in one file: no order between them is known", processes)
    if not every:
        writer.gap("the file holds no work of a device")


def _clock(export: Export) -> int:
    """Give what turns the session's clock into ns since the epoch; 0 where not known."""
    for row in export.rows("TARGET_INFO_SESSION_START_TIME", ("utcEpochNs",)):
        return row[0] or 0
    return 0


def _header(export: Export) -> o.Header:
    names = export.texts("TARGET_INFO_GPU", "id", "name")
    devices = tuple({"id": key, "name": name[:200]} for key, name in sorted(names.items()))
    return o.Header(
        source="nsys", complete=_COMPLETE, devices=devices,
        versions={"nsys_schema": export.version},
    )  # fmt: skip


FORMAT = Format("nsys", (".sqlite",), sniff, read, None)
