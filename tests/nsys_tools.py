"""Writes small exports of Nsight Systems, and gives the recorded ones."""
# Queries are made of names that this file writes.
# ruff: noqa: S608

import gzip
import io
import sqlite3
from pathlib import Path
from typing import Any

from streamsan.traces.formats import load
from streamsan.traces.model import Trace

DATA = Path(__file__).parent / "data" / "nsys"
H100, TINY = (
    "h100_2gpu_nccl_nsys2026.2.1_schema3.25.0", "rtx3080_tiny_nsys2026.1.1_schema3.24.14",
)  # fmt: skip
UNSET = 4294967295
PID = 0x1000000
K = "CUPTI_ACTIVITY_KIND_"
VERSION = {"META_DATA_EXPORT": [{"name": "EXPORT_SCHEMA_VERSION", "value": "3.25.0"}]}
Tables = dict[str, list[dict[str, Any]]]
_ids: dict[str, int] = {}


def recorded(name: str, folder: Path) -> Path:
    """Unpack a recorded export."""
    path = folder / f"{name}.sqlite"
    path.write_bytes(gzip.decompress((DATA / f"{name}.sqlite.gz").read_bytes()))
    return path


def query(path: Path, sql: str) -> list[Any]:
    """Ask the raw file: what the reader gives is compared with this."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def write(path: Path, *tables: Tables, version: Tables = VERSION) -> Path:
    """Write an export: each table has the columns that its rows name."""
    connection = sqlite3.connect(path)
    every: Tables = {}
    for some in (version, *tables):
        for table, rows in some.items():
            every.setdefault(table, []).extend(rows)
    for table, rows in every.items():
        columns = list(dict.fromkeys(key for row in rows for key in row)) or ["id"]
        connection.execute(f'CREATE TABLE "{table}" ({", ".join(map(quoted, columns))})')
        for row in rows:
            marks = ", ".join("?" for _ in row)
            names = ", ".join(map(quoted, row))
            connection.execute(
                f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(row.values())
            )
    connection.commit()
    connection.close()
    return path


def quoted(name: str) -> str:
    return f'"{name}"'


def calls(*found: tuple[str, int], pid: int = 1, tid: int = 9, **more: Any) -> Tables:
    """Give calls by name and correlation id, 10 ns apart, each 5 ns long."""
    names = {name: _ids.setdefault(name, 100 + len(_ids)) for name, _ in found}
    rows = [
        {"globalTid": pid * PID + tid, "correlationId": key, "nameId": names[name],
         "start": 10 * key, "end": 10 * key + 5, "eventClass": 0, "returnValue": 0, **more}
        for name, key in found
    ]  # fmt: skip
    return {
        K + "RUNTIME": rows,
        "StringIds": [{"id": key, "value": f"{name}_v3020"} for name, key in names.items()],
    }


def row(
    key: int, *, pid: int = 1, stream: int = 7, context: int = 1, **more: Any
) -> dict[str, Any]:
    """Give a row of device work."""
    return {
        "globalPid": pid * PID, "contextId": context, "streamId": stream, "deviceId": 0,
        "correlationId": key, "start": 10 * key + 7, "end": 10 * key + 9, **more,
    }  # fmt: skip


def kernels(*rows: dict[str, Any]) -> Tables:
    """Give kernels, all of one name."""
    return {K + "KERNEL": [{"shortName": 1, "graphNodeId": None, **r} for r in rows]}


def sync(key: int, *, event: int = UNSET, record: int = 0, **more: Any) -> Tables:
    """Give a synchronisation row."""
    base = {k: v for k, v in row(key, **more).items() if k not in ("start", "end")}
    return {K + "SYNCHRONIZATION": [
        {"start": 0, "end": 0, "syncType": 3, **base, "eventId": event, "eventSyncId": record},
    ]}  # fmt: skip


def record(key: int, event: int, number: int, stream: int = 7) -> Tables:
    """Give the row of an event record."""
    return {K + "CUDA_EVENT": [
        {"globalPid": PID, "contextId": 1, "streamId": stream, "deviceId": 0,
         "correlationId": key, "eventId": event, "eventSyncId": number, "timestamp": 0},
    ]}  # fmt: skip


def read(path: Path) -> Trace:
    return load(path)


def packed(path: Path) -> io.BytesIO:
    return io.BytesIO(gzip.compress(path.read_bytes()))
