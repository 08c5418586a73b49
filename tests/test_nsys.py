"""Exports of Nsight Systems: what becomes an op, what stays unknown, what a wrong file costs.

Expected values are queries on the raw file, or stand in the export that a test writes.
"""
# Queries are made of names that this file writes.
# ruff: noqa: S608

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nsys_tools import (
    H100,
    PID,
    TINY,
    UNSET,
    VERSION,
    K,
    Tables,
    calls,
    kernels,
    packed,
    query,
    read,
    record,
    recorded,
    row,
    sync,
    write,
)

from streamsan.cli import main
from streamsan.traces.errors import TraceError
from streamsan.traces.formats import load, nsys_db, save
from streamsan.traces.formats.nsys import FORMAT
from streamsan.traces.model import Op, Trace
from streamsan.traces.ops import Complete, Kind

WORK = {Kind.LAUNCH: "KERNEL", Kind.MEMCPY: "MEMCPY", Kind.MEMSET: "MEMSET"}
BY_CALL = (
    f"FROM {K}{{}} w JOIN {K}RUNTIME r ON r.correlationId = w.correlationId "
    "AND (r.globalTid & ~0xFFFFFF) = w.globalPid JOIN StringIds s ON s.id = r.nameId"
)


def ops(trace: Trace, kind: int) -> list[Op]:
    return [op for op in trace if op.kind == kind]


def gaps(trace: Trace) -> dict[str, int]:
    return {gap.reason: gap.times for gap in trace.gaps}


def gap(trace: Trace, start: str) -> int:
    return sum(count for reason, count in gaps(trace).items() if reason.startswith(start))


# Recorded exports


@pytest.mark.parametrize("name", [H100, TINY])
def test_device_work_keeps_its_times_devices_and_bytes(name: str, tmp_path: Path) -> None:
    path = recorded(name, tmp_path)
    trace = read(path)
    base = query(path, "SELECT utcEpochNs FROM TARGET_INFO_SESSION_START_TIME")[0][0]
    tables = {t for (t,) in query(path, "SELECT name FROM sqlite_master")}
    for kind, table in WORK.items():
        if K + table not in tables:
            continue
        size = "NULL" if table == "KERNEL" else "bytes"
        expected = Counter(query(path, f"SELECT start, end, deviceId, {size} FROM {K}{table}"))

        found = Counter(
            (int(trace.begin[op.id]) - base, int(trace.end[op.id]) - base, op.device,
             op.extras.get("bytes"))
            for op in ops(trace, kind)
        )  # fmt: skip
        assert found == expected


@pytest.mark.parametrize("name", [H100, TINY])
def test_device_work_is_issued_by_the_thread_of_its_call(name: str, tmp_path: Path) -> None:
    path = recorded(name, tmp_path)
    trace = read(path)
    expected = Counter(query(path, (
        "SELECT ((r.globalTid >> 24) & 0xFFFFFF) || ':' || (r.globalTid & 0xFFFFFF) "
        + BY_CALL.format("KERNEL")
    )))  # fmt: skip

    launches = ops(trace, Kind.LAUNCH)
    found = Counter((op.thread,) for op in launches if not op.thread.startswith("nsys"))
    assert found == expected
    early = query(path, f"SELECT count(*) FROM {K}KERNEL")[0][0] - sum(expected.values())
    assert sum(op.thread.startswith("nsys") for op in launches) == early


def test_copies_are_what_their_numbers_mean(tmp_path: Path) -> None:
    path = recorded(H100, tmp_path)
    expected = {
        (1, 0, 2): ("H2D", "nsys:pageable", "nsys:device"),
        (8, 2, 2): ("D2D", "nsys:device", "nsys:device"),
    }
    rows = query(path, f"SELECT copyKind, srcKind, dstKind FROM {K}MEMCPY")

    found = [
        (op.bit("kind"), op.fields()["src"][0], op.fields()["dst"][0])
        for op in ops(read(path), Kind.MEMCPY)
    ]
    assert Counter(found) == Counter(expected[r] for r in rows)


def test_a_synchronise_of_schema_3_24_is_told_by_its_call_not_its_type(tmp_path: Path) -> None:
    path = recorded(TINY, tmp_path)
    types = query(path, f"SELECT s.value, w.syncType {BY_CALL.format('SYNCHRONIZATION')}")
    assert types == [("cudaStreamSynchronize_v3020", 2)]  # the type of a stream wait

    trace = read(path)
    assert [op.stream for op in ops(trace, Kind.STREAM_SYNCHRONIZE)] == ["0"]
    assert not ops(trace, Kind.STREAM_WAIT_EVENT)
    assert not trace.gaps


def test_a_context_tells_the_device_of_a_synchronise(tmp_path: Path) -> None:
    path = recorded(H100, tmp_path)
    wrong = query(path, f"SELECT DISTINCT deviceId FROM {K}SYNCHRONIZATION WHERE contextId = 2")
    assert wrong == [(0,)]  # but all work of that context is on device 1
    waits = f"{BY_CALL.format('SYNCHRONIZATION')} WHERE s.value LIKE 'cudaStreamSync%'"
    expected = Counter(
        {(device, stream): count
         for device, context, stream in ((0, 1, "0"), (1, 2, "1:15"))
         for (count,) in query(path, f"SELECT count(*) {waits} AND w.contextId = {context}")}
    )  # fmt: skip

    found = Counter((op.device, op.stream) for op in ops(read(path), Kind.STREAM_SYNCHRONIZE))
    assert found == expected


@pytest.mark.parametrize(
    "name", ["cudaStreamWaitEvent", "cudaEventQuery", "cudaEventRecord", "cudaEventRecordWithFlags"]
)
def test_without_event_rows_nothing_that_needs_them_is_resolved(name: str, tmp_path: Path) -> None:
    path = recorded(H100, tmp_path)
    assert query(path, f"SELECT count(*) FROM {K}CUDA_EVENT") == [(0,)]
    (count,) = query(path, f"SELECT count(*) FROM {K}RUNTIME r JOIN StringIds s "
                           f"ON s.id = r.nameId WHERE s.value LIKE '{name}_v%'")[0]  # fmt: skip
    trace = read(path)

    assert gap(trace, f"{name}: ") == count > 0
    marks = [op for op in ops(trace, Kind.MARK) if op.name == name]
    assert len(marks) == (0 if name == "cudaEventQuery" else count)


def test_nothing_is_said_to_be_complete(tmp_path: Path) -> None:
    header = read(recorded(TINY, tmp_path)).header

    assert header.complete == Complete(accesses=False, host=False, sync=False, memory=False)
    assert header.source == "nsys"
    assert header.versions == {"nsys_schema": "3.24.14"}
    assert [d["id"] for d in header.devices] == [0]


# Written exports


def waiting(*more: Any) -> tuple[Any, ...]:
    """Give an export in which stream 7 records event 4 and stream 20 waits for it."""
    return (
        calls(("cudaLaunchKernel", 1), ("cudaEventRecord", 2), ("cudaStreamWaitEvent", 3),
              ("cudaLaunchKernel", 4)),
        kernels(row(1), row(4, stream=20)), record(2, event=4, number=50),
        sync(3, stream=20, event=4, record=50), *more,
    )  # fmt: skip


def test_a_wait_binds_to_its_record(tmp_path: Path) -> None:
    trace = read(write(tmp_path / "a", *waiting()))
    (made,), (wait,) = ops(trace, Kind.EVENT_RECORD), ops(trace, Kind.STREAM_WAIT_EVENT)

    assert (made.stream, wait.stream) == ("0", "0:20")
    assert made.obj == wait.obj
    assert not gap(trace, "cuda")


def test_a_wait_binds_by_the_record_not_by_the_event(tmp_path: Path) -> None:
    again = (calls(("cudaEventRecord", 5)), record(5, event=4, number=51))
    late = (calls(("cudaStreamWaitEvent", 6)), sync(6, stream=20, event=4, record=50))
    trace = read(write(tmp_path / "a", *waiting(*again, *late)))
    first, second = ops(trace, Kind.EVENT_RECORD)

    assert first.obj != second.obj
    assert [op.obj for op in ops(trace, Kind.STREAM_WAIT_EVENT)] == [first.obj, first.obj]


@pytest.mark.parametrize(
    ("wait", "reason"),
    [
        (sync(3, stream=20, event=4, record=49), "no row of its event record"),
        (sync(3, stream=20, event=4, record=0), "no row of its event record"),
        (sync(3, stream=UNSET, event=4, record=50), "its synchronisation row has no waiting"),
        ({}, "no synchronisation row"),
    ],
)
def test_a_wait_that_cannot_be_bound_is_counted(
    wait: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    head, work, made, _ = waiting()
    trace = read(write(tmp_path / "a", head, work, made, wait))

    assert gap(trace, f"cudaStreamWaitEvent: {reason}") == 1
    (mark,) = ops(trace, Kind.MARK)
    assert mark.extras["unresolved"] == "stream_wait_event"
    assert not ops(trace, Kind.STREAM_WAIT_EVENT)


def test_a_record_in_the_future_is_not_the_one(tmp_path: Path) -> None:
    tables = (
        calls(("cudaLaunchKernel", 1), ("cudaEventSynchronize", 2), ("cudaEventRecord", 3)),
        kernels(row(1)), record(3, event=4, number=50), sync(2, event=4, record=50),
    )  # fmt: skip
    trace = read(write(tmp_path / "a", *tables))

    assert gap(trace, "cudaEventSynchronize: its record lies in the future") == 1
    assert not ops(trace, Kind.EVENT_SYNCHRONIZE)


@pytest.mark.parametrize(("result", "word"), [(0, "success"), (600, "not_ready"), (700, None)])
def test_only_a_successful_query_orders(result: int, word: str | None, tmp_path: Path) -> None:
    more = (
        calls(("cudaEventQuery", 5), returnValue=result),
        sync(5, stream=UNSET, event=4, record=50),
    )
    trace = read(write(tmp_path / "a", *waiting(*more)))

    assert [op.bit("result") for op in ops(trace, Kind.EVENT_QUERY)] == ([word] if word else [])
    assert gap(trace, "cudaEventQuery: it failed") == (word is None)


def test_correlation_ids_are_those_of_a_process(tmp_path: Path) -> None:
    tables = (
        calls(("cudaLaunchKernel", 1)), calls(("cudaMemcpyAsync", 1), pid=2, tid=8),
        kernels(row(1), row(1, pid=2, context=2, deviceId=1)),
    )  # fmt: skip
    trace = read(write(tmp_path / "a", *tables))

    found = {op.thread: (op.device, op.stream) for op in ops(trace, Kind.LAUNCH)}
    assert found == {"1:9": (0, "0"), "2:8": (1, "0")}
    assert gap(trace, "processes in one file") == 2


def test_streams_of_two_processes_on_one_device_are_not_one(tmp_path: Path) -> None:
    tables = (
        calls(("cudaLaunchKernel", 1)), calls(("cudaLaunchKernel", 1), pid=2),
        kernels(row(1), row(1, pid=2)),
    )  # fmt: skip
    one, two = ops(read(write(tmp_path / "a", *tables)), Kind.LAUNCH)

    assert one.stream != two.stream
    assert "0" not in (one.stream, two.stream)


def test_flags_tell_what_a_stream_is(tmp_path: Path) -> None:
    info = [
        {"streamId": number, "contextId": 1, "processId": 1, "flag": flag, "priority": priority}
        for number, flag, priority in ((7, 2, 0), (13, 3, 0), (14, 1, UNSET - 4))
    ]
    tables = (
        calls(*(("cudaLaunchKernel", key) for key in (1, 2, 3))),
        kernels(row(1), row(2, stream=13), row(3, stream=14)), {"TARGET_INFO_CUDA_STREAM": info},
    )  # fmt: skip
    trace = read(write(tmp_path / "a", *tables))

    assert [op.stream for op in ops(trace, Kind.LAUNCH)] == ["0:7", "0", "0:14"]
    made = {op.stream: (op.bit("flags"), op.number) for op in ops(trace, Kind.STREAM_CREATE)}
    assert made == {"0:7": ("nonblocking", 0), "0:14": ("blocking", -5)}
    assert not gap(trace, "streams whose flags")


def test_a_null_stream_stands_in_the_table_of_contexts_too(tmp_path: Path) -> None:
    context = [{"nullStreamId": 13, "contextId": 1, "processId": 1}]
    tables = (calls(("cudaLaunchKernel", 1)), kernels(row(1, stream=13)),
              {"TARGET_INFO_CUDA_CONTEXT_INFO": context})  # fmt: skip

    assert ops(read(write(tmp_path / "a", *tables)), Kind.LAUNCH)[0].stream == "0"


def copy(kind: int, src: int, dst: int, size: int = 8) -> dict[str, Any]:
    return {K + "MEMCPY": [row(1, copyKind=kind, srcKind=src, dstKind=dst, bytes=size)]}


@pytest.mark.parametrize(
    ("api", "numbers", "kind", "ends", "waits"),
    [
        ("cudaMemcpyAsync", (1, 0, 2), "H2D", "pageable device", (True, None)),
        ("cudaMemcpyAsync", (2, 2, 1), "D2H", "device pinned", (True, None)),
        ("cudaMemcpy", (2, 2, 0), "D2H", "device pageable", (False, "legacy")),
        ("cuMemcpyDtoH_v2", (2, 2, 0), "D2H", "device pageable", (False, "legacy")),
        ("cudaMemcpyAsync", (10, 2, 2), "P2P", "device device", (True, None)),
        ("cudaMemcpyAsync", (8, 4, 5), "D2D", "managed device", (True, None)),
        ("cudaMemcpyAsync", (1, 7, 2), "H2D", "pinned device", (True, None)),
    ],
)
def test_copies(  # noqa: PLR0917
    api: str, numbers: tuple[int, int, int], kind: str, ends: str, waits: tuple[Any, ...],
    tmp_path: Path,
) -> None:  # fmt: skip
    (op,) = ops(read(write(tmp_path / "a", calls((api, 1)), copy(*numbers))), Kind.MEMCPY)
    fields = op.fields()

    assert (op.bit("kind"), op.bit("async_"), op.bit("wait")) == (kind, *waits)
    assert [fields[key] for key in ("src", "dst")] == [(f"nsys:{e}", 0, 0) for e in ends.split()]
    assert op.extras["bytes"] == 8


def test_the_file_says_what_its_numbers_mean(tmp_path: Path) -> None:
    kinds = [{"id": 0, "name": "CUDA_MEMOPR_MEMORY_KIND_PINNED"}]
    tables = (calls(("cudaMemcpyAsync", 1)), copy(1, 0, 2), {"ENUM_CUDA_MEM_KIND": kinds})
    (op,) = ops(read(write(tmp_path / "a", *tables)), Kind.MEMCPY)

    assert op.fields()["src"][0] == "nsys:pinned"


def test_pages_that_move_by_themselves_are_no_copies_of_the_program(tmp_path: Path) -> None:
    tables = (calls(("cudaLaunchKernel", 1)), kernels(row(1)),
              {K + "MEMCPY": [row(9, copyKind=11, srcKind=4, dstKind=4, bytes=8) |
                              {"correlationId": None}]})  # fmt: skip
    trace = read(write(tmp_path / "a", *tables))

    assert not ops(trace, Kind.MEMCPY)
    assert gap(trace, "pages of managed memory") == 1


@pytest.mark.parametrize(("api", "waits"), [("cudaMemset", False), ("cudaMemsetAsync", True)])
def test_fills(api: str, waits: bool, tmp_path: Path) -> None:
    fill = {K + "MEMSET": [row(1, memKind=2, bytes=64)]}
    (op,) = ops(read(write(tmp_path / "a", calls((api, 1)), fill)), Kind.MEMSET)

    assert op.bit("async_") is waits
    assert op.extras["bytes"] == 64


@pytest.mark.parametrize(
    "work",
    [
        kernels(row(1, graphNodeId=3), row(1, graphNodeId=4, start=11, end=60)),
        {K + "GRAPH_TRACE": [row(1, graphId=8, start=11, end=60)]},
    ],
)
def test_a_graph_launch_is_one_op(work: Any, tmp_path: Path) -> None:
    trace = read(write(tmp_path / "a", calls(("cudaGraphLaunch", 1)), work))
    (op,) = ops(trace, Kind.GRAPH_LAUNCH)

    assert (int(trace.begin[op.id]), int(trace.end[op.id])) == (11, 60)
    assert not ops(trace, Kind.LAUNCH)
    assert gap(trace, "graph launches") == 1


def test_device_synchronise_is_of_the_device_of_its_context(tmp_path: Path) -> None:
    two = kernels(row(1), row(2, context=2, deviceId=1))
    head = calls(("cudaLaunchKernel", 1), ("cudaLaunchKernel", 2), ("cudaDeviceSynchronize", 3))
    known = read(write(tmp_path / "a", head, two, sync(3, stream=UNSET, context=2)))
    unknown = read(write(tmp_path / "b", head, two))

    assert [op.device for op in ops(known, Kind.DEVICE_SYNCHRONIZE)] == [1]
    assert not ops(unknown, Kind.DEVICE_SYNCHRONIZE)
    assert gap(unknown, "cudaDeviceSynchronize: which device") == 1


def test_work_without_a_call_comes_first(tmp_path: Path) -> None:
    tables = (calls(("cudaLaunchKernel", 5)), kernels(row(5), row(2)))
    trace = read(write(tmp_path / "a", *tables))

    assert [op.thread for op in ops(trace, Kind.LAUNCH)] == ["nsys:0", "1:9"]
    assert gap(trace, "device work launched before") == 1


def test_calls_without_work_are_counted(tmp_path: Path) -> None:
    tables = (calls(("cudaLaunchKernel", 1), ("cudaLaunchKernel", 2), ("cudaFree", 3)),
              kernels(row(1)))  # fmt: skip
    trace = read(write(tmp_path / "a", *tables))

    assert gap(trace, "launching calls whose device work") == 1
    assert gap(trace, "cudaFree: it may synchronise") == 1


def test_an_export_without_work_says_so(tmp_path: Path) -> None:
    assert gap(read(write(tmp_path / "a")), "the file holds no work of a device") == 1


def test_columns_and_tables_may_be_missing(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(1).items() if key != "end"}
    trace = read(write(tmp_path / "a", {K + "KERNEL": [bare]}))
    (op,) = ops(trace, Kind.LAUNCH)

    assert (op.name, int(trace.begin[op.id])) == ("kernel", 17)


def test_order_is_that_of_correlation_ids_within_a_process(tmp_path: Path) -> None:
    head = calls(("cudaLaunchKernel", 1), ("cudaLaunchKernel", 2))
    head[K + "RUNTIME"].reverse()
    trace = read(write(tmp_path / "a", head, kernels(row(2), row(1))))

    assert [int(trace.begin[op.id]) for op in ops(trace, Kind.LAUNCH)] == [17, 27]


# Containers


def test_content_tells_an_export_and_compression_costs_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "no.suffix", *waiting())

    assert FORMAT.sniff(path.read_bytes()[:64])
    plain, zipped = load(path), load(packed(path))
    assert [op.fields() for op in plain] == [op.fields() for op in zipped]


def test_a_folder_of_exports_is_linted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.sqlite", *waiting())
    (tmp_path / "b.sqlite.gz").write_bytes(packed(tmp_path / "a.sqlite").read())
    main(["lint", str(tmp_path), "--format", "json"])

    traces = json.loads(capsys.readouterr().out)["traces"]
    assert [Path(t["path"]).name for t in traces] == ["a.sqlite", "b.sqlite.gz"]


def test_converting_loses_nothing(tmp_path: Path) -> None:
    trace = read(recorded(H100, tmp_path))
    save(trace, tmp_path / "a.trace.jsonl")
    again = read(tmp_path / "a.trace.jsonl")

    assert [op.fields() for op in again] == [op.fields() for op in trace]
    assert (again.gaps, again.header) == (trace.gaps, trace.header)


def test_the_file_is_not_written_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a", *waiting())
    before = path.read_bytes()
    path.chmod(0o444)
    read(path)

    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


# Wrong files


def refuse(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", {"people": [{"name": "x"}]}, version={})

    assert refuse(path) == "an SQLite database, but no export of Nsight Systems"


def test_another_schema_is_refused(tmp_path: Path) -> None:
    newer = {"META_DATA_EXPORT": [{"name": "EXPORT_SCHEMA_VERSION", "value": "4.0.0"}]}

    assert "unknown schema" in refuse(write(tmp_path / "a", version=newer))


@pytest.mark.parametrize("value", ["12", 1.5, b"\0", 2**62])
def test_a_value_of_another_type_is_refused_by_the_name_of_its_column(
    value: object, tmp_path: Path
) -> None:
    path = write(tmp_path / "a", calls(("cudaLaunchKernel", 1)), kernels(row(1, start=value)))

    reason = refuse(path)
    assert reason == f"{K}KERNEL.start holds something that is no 64-bit time or id"


def change(path: Path, *statements: str) -> Path:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


def test_a_view_is_code_and_not_read(tmp_path: Path) -> None:
    path = change(
        write(tmp_path / "a", *waiting()), f"ALTER TABLE {K}KERNEL RENAME TO hidden",
        f"CREATE VIEW {K}KERNEL AS SELECT * FROM hidden",
    )  # fmt: skip

    assert not ops(read(path), Kind.LAUNCH)


def test_a_computed_column_is_code_and_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a", *waiting())
    assert ops(read(path), Kind.EVENT_RECORD)
    change(
        path, f"ALTER TABLE {K}CUDA_EVENT RENAME COLUMN eventSyncId TO other",
        f"ALTER TABLE {K}CUDA_EVENT ADD COLUMN eventSyncId AS (other)",
    )  # fmt: skip

    assert not ops(read(path), Kind.EVENT_RECORD)


def test_garbage_after_the_magic_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(nsys_db.MAGIC + b"x" * 4000)

    assert refuse(path) == "an SQLite database that is damaged or cut at its start"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_file_is_damaged_and_exits_with_2(
    share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = recorded(H100, tmp_path).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])

    assert main(["lint", str(path), "--select", "SO901"]) == 2
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("by_path", [True, False])
def test_what_is_left_of_a_cut_file_is_read(by_path: bool, tmp_path: Path) -> None:
    whole = read(recorded(H100, tmp_path))
    path = tmp_path / "cut"
    path.write_bytes(recorded(H100, tmp_path).read_bytes()[:-300_001])
    before = path.read_bytes()
    trace = load(path if by_path else before)

    assert trace.damage is not None
    assert trace.damage.reason == "the file is cut: pages at its end are missing"
    assert 100 < trace.damage.kept == len(trace) < len(whole)
    assert path.read_bytes() == before


def test_rows_without_end_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", *waiting())
    connection = sqlite3.connect(path)
    export = nsys_db.Export(connection, "a", 4)

    with pytest.raises(TraceError, match="more rows than the file can hold"):
        list(export.rows(K + "RUNTIME", ("start",)))
    connection.close()


@pytest.mark.parametrize("command", ["lint", "stats"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_output_tells_who_recorded_what_where(
    command: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cr3t"  # noqa: S105
    metadata: Tables = {
        "META_DATA_EXPORT": [
            *VERSION["META_DATA_EXPORT"], {"name": "EXPORT_HOST", "value": secret},
        ],
        "META_DATA_CAPTURE": [{"name": "PROCESS_COMMAND_LINE", "value": secret}],
        "TARGET_INFO_SYSTEM_ENV": [{"name": "Hostname", "value": secret}],
        "PROCESSES": [{"globalPid": PID, "pid": 1, "name": secret}],
        "ThreadNames": [{"nameId": 77, "globalTid": PID}],
        "DIAGNOSTIC_EVENT": [{"text": secret}],
    }  # fmt: skip
    path = write(tmp_path / "a", *waiting(), version=metadata)

    main([command, str(path), "--format", form])
    told = capsys.readouterr()
    assert told.out
    assert secret not in told.out + told.err
