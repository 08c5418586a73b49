"""PyTorch profiler files: what becomes an op, what stays unknown, and what damage costs.

Expected values are counted from the JSON by code of this file, or stand in the files' origin.
"""

import gzip
import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamsan.traces.errors import TraceError
from streamsan.traces.formats import kineto_events
from streamsan.traces.formats.kineto import FORMAT, read
from streamsan.traces.formats.kineto_header import sniff
from streamsan.traces.model import NONE, Op, Trace
from streamsan.traces.ops import Complete, Kind

DATA = Path(__file__).parent / "data" / "kineto"
SHARED = Path(os.environ.get("STREAMSAN_SHARED", DATA.parents[3] / "shared")) / "traces" / "kineto"
ALEXNET, EVENT_SYNC, MULTI = (
    f"a100_cuda_sync_{name}" for name in ("alexnet", "event_sync", "multi_stream")
)
GPU = {"kernel", "gpu_memcpy", "gpu_memset", "Kernel", "Memcpy", "Memset"}
API = {"cuda_runtime", "cuda_driver", "Runtime"}
DEVICE_KINDS = {Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET, Kind.GRAPH_LAUNCH}


def content(name: str) -> bytes:
    return gzip.decompress((DATA / f"{name}.json.gz").read_bytes())


def load(data: bytes | str) -> Trace:
    raw = data.encode() if isinstance(data, str) else data
    return read(io.BytesIO(raw), "test.json")


def ops(trace: Trace, kind: int) -> list[Op]:
    return [op for op in trace if op.kind == kind]


def gaps(trace: Trace) -> dict[str, int]:
    return {gap.reason: gap.times for gap in trace.gaps}


def gap(trace: Trace, start: str) -> int:
    return sum(count for reason, count in gaps(trace).items() if reason.startswith(start))


def call(name: str, correlation: int, ts: Any = 10, **more: Any) -> dict[str, Any]:
    return {
        "ph": "X", "cat": "cuda_runtime", "name": name, "pid": 1, "tid": 2, "ts": ts, "dur": 1,
        "args": {"correlation": correlation}, **more,
    }  # fmt: skip


def kernel(correlation: int, ts: Any = 20, stream: int = 7, **more: Any) -> dict[str, Any]:
    return {
        "ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": stream, "ts": ts, "dur": 2,
        "args": {"device": 0, "context": 1, "stream": stream, "correlation": correlation}, **more,
    }  # fmt: skip


def sync(kind: str, correlation: int, **args: Any) -> dict[str, Any]:
    return {
        "ph": "X", "cat": "cuda_sync", "name": kind, "pid": 0, "tid": 0, "ts": 10, "dur": 1,
        "args": {
            "cuda_sync_kind": kind, "device": 0, "context": 1, "correlation": correlation, **args,
        },
    }  # fmt: skip


def waits(correlation: int, record: int, source: int = 7, event: int = 3) -> dict[str, Any]:
    return sync(
        "Stream Wait Event", correlation, stream=20, wait_on_stream=source,
        wait_on_cuda_event_id=event, wait_on_cuda_event_record_corr_id=record,
    )  # fmt: skip


def document(*events: dict[str, Any], **header: Any) -> str:
    return json.dumps({"schemaVersion": 1, "traceEvents": list(events), **header})


PAIR = (call("cudaLaunchKernel", 1), kernel(1))


def events_of(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(data, parse_float=Decimal)["traceEvents"]
    return [e for e in found if e.get("ph") == "X"]


# Golden files


@pytest.mark.parametrize("path", sorted(DATA.glob("*.gz")), ids=lambda p: p.name[:-8])
def test_device_work_keeps_its_times_streams_and_launching_threads(path: Path) -> None:
    data = gzip.decompress(path.read_bytes())
    check_device_work(load(data), data)


def check_device_work(trace: Trace, data: bytes) -> None:
    base = int(json.loads(data).get("baseTimeNanoseconds", 0))
    rows = events_of(data)
    calls = {e["args"]["correlation"]: e for e in rows if e.get("cat") in API}
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("cat") in GPU:
            groups.setdefault(row["args"]["correlation"], []).append(row)
    expected: Counter[tuple[Any, ...]] = Counter()
    for correlation, group in groups.items():
        start = min(int(Decimal(e["ts"]) * 1000) for e in group) + base
        end = max(int(Decimal(e["ts"]) * 1000) + int(Decimal(e["dur"]) * 1000) for e in group)
        made = calls.get(correlation)
        who = None if made is None else f"{made['pid']}:{made['tid']}"
        name = group[0]["name"]
        if len(group) > 1 or (made is not None and "GraphLaunch" in made["name"]):
            name = made["name"] if made is not None else "graph_launch"
        device, stream = group[0]["args"]["device"], group[0]["args"]["stream"]
        legacy = stream == 7 and "context" in group[0]["args"]
        where = "0" if legacy else f"{device}:{stream}"
        expected[name, where, device, start, end + base, who] += 1
    found = Counter(
        (
            op.name, op.stream, op.device, int(trace.begin[op.id]), int(trace.end[op.id]),
            None if op.thread.startswith("kineto:") else op.thread,
        )
        for op in trace
        if op.kind in DEVICE_KINDS
    )  # fmt: skip
    assert found == expected


def test_alexnet_has_twenty_resolved_waits_and_fourteen_without_a_record() -> None:
    data = content(ALEXNET)
    trace = load(data)
    rows = [e for e in events_of(data) if e["name"] == "Stream Wait Event"]
    expected = sorted(
        (f"0:e{a['wait_on_cuda_event_id']}", name_of(a["stream"]), name_of(a["wait_on_stream"]))
        for a in (e["args"] for e in rows)
    )

    assert len(expected) == 20
    assert sorted(bound(trace)) == expected
    assert len(ops(trace, Kind.EVENT_RECORD)) == 20  # of 30: ten are never waited for
    assert gap(trace, "cudaStreamWaitEvent: no cuda_sync record") == 14
    assert gap(trace, "cudaEventRecord: no cuda_sync record") == 10
    assert [op.stream for op in ops(trace, Kind.STREAM_SYNCHRONIZE)] == ["0"] * 16
    assert len(ops(trace, Kind.DEVICE_SYNCHRONIZE)) == 5
    assert {op.via for op in ops(trace, Kind.MEMCPY)} == {"to"}


def name_of(stream: int) -> str:
    return "0" if stream == 7 else f"0:{stream}"


def bound(trace: Trace) -> Iterator[tuple[str, str, str]]:
    """Give each stream wait as event, waiting stream, and stream of the latest record."""
    latest: dict[str, str] = {}
    for op in trace:
        if op.kind == Kind.EVENT_RECORD:
            latest[str(op.obj)] = str(op.stream)
        elif op.kind == Kind.STREAM_WAIT_EVENT:
            yield str(op.obj), str(op.stream), latest[str(op.obj)]


def test_an_event_synchronise_is_bound_and_a_query_has_no_result() -> None:
    trace = load(content(EVENT_SYNC))
    words = [op.word for op in trace if op.kind not in DEVICE_KINDS and op.word != "malloc"]

    assert words == [
        "region_begin", "stream_synchronize", "mark", "event_record", "event_synchronize",
        "event_query", "device_synchronize", "region_end",
    ]  # fmt: skip
    record, wait = ops(trace, Kind.EVENT_RECORD)[0], ops(trace, Kind.EVENT_SYNCHRONIZE)[0]
    assert (record.obj, record.stream, wait.obj) == ("0:e8", "0", "0:e8")
    assert trace.t[record.id] == 1707417525512376_000
    assert trace.t_end[wait.id] - trace.t[wait.id] == 34_000
    assert ops(trace, Kind.EVENT_QUERY)[0].bit("result") is None
    copy = ops(trace, Kind.MEMCPY)[0]
    assert copy.fields() == {
        "stream": "0", "async_": True, "kind": "D2H", "via": "bool", "bytes": 1,
        "src": ("kineto:device", 0, 0), "dst": ("kineto:pageable", 0, 0),
        "name": "Memcpy DtoH (Device -> Pageable)", "thread": "948300:948300",
        "t": 1707417525512252_000, "t_end": 1707417525512281_000,
        "begin": 1707417525512270_000, "end": 1707417525512272_000,
    }  # fmt: skip


def test_multi_stream_waits_on_stream_20_from_stream_24() -> None:
    trace = load(content(MULTI))

    assert list(bound(trace)) == [("0:e19", "0:24", "0:20")]
    records = [(op.obj, op.stream) for op in ops(trace, Kind.EVENT_RECORD)]
    assert records == [("0:e9", "0:20"), ("0:e9", "0:28"), ("0:e19", "0:20")]
    assert [op.obj for op in ops(trace, Kind.EVENT_QUERY)] == ["0:e9", "0:e9"]
    assert gap(trace, "cudaEventQuery") == 1  # record id -1
    assert len(ops(trace, Kind.MARK)) == 1  # the record nobody waits for


@pytest.mark.parametrize("name", [ALEXNET, EVENT_SYNC, MULTI])
def test_no_device_time_contradicts_an_edge(name: str) -> None:
    trace = load(content(name))
    checked = 0
    order = list(trace)
    tolerance = 2_000  # ns: times and lengths were truncated to us, each by itself
    captured: dict[str | None, list[Op]] = {}
    for i, op in enumerate(order):
        before = [p for p in order[:i] if p.kind in DEVICE_KINDS]
        if op.kind == Kind.EVENT_RECORD:
            captured[op.obj] = [p for p in before if p.stream == op.stream]
        elif op.kind == Kind.STREAM_WAIT_EVENT:
            for later in (p for p in order[i:] if p.kind in DEVICE_KINDS and p.stream == op.stream):
                for earlier in captured[op.obj]:
                    assert trace.end[earlier.id] <= trace.begin[later.id] + tolerance
                    checked += 1
        elif op.kind in {Kind.EVENT_SYNCHRONIZE, Kind.STREAM_SYNCHRONIZE, Kind.DEVICE_SYNCHRONIZE}:
            done = captured[op.obj] if op.kind == Kind.EVENT_SYNCHRONIZE else before
            for earlier in done:
                if op.stream in (None, earlier.stream):
                    assert trace.end[earlier.id] <= trace.t_end[op.id] + tolerance
                    checked += 1
    assert checked > 0


def test_mock_ids_are_unresolved_before_the_fix_and_resolved_after() -> None:
    before = load(content("kineto_mock_corr_before_fix"))
    after = load(content("kineto_mock_corr_after_fix"))

    assert [op.word for op in before] == ["launch"]
    assert gap(before, "Stream Wait Event: its record is not known") == 1
    assert gap(before, "Event Sync: its record is not known") == 1
    assert [op.word for op in after] == ["launch", "event_record", "stream_wait_event"]
    assert list(bound(after)) == [("0:e7777", "0:1", "0:1")]
    assert gap(after, "Event Sync: the call that caused it") == 1  # perhaps a query
    assert after.header.versions == {"cuda": "12.9", "cuda_driver": "13.0", "cupti": "28"}


def test_a_graph_launch_is_one_op_for_all_its_kernels() -> None:
    data = content("mi300_sglang_hipgraph_decode")
    trace = load(data)
    rows = events_of(data)
    launch = next(e for e in rows if e["name"] == "hipGraphLaunch")
    kernels = [
        e for e in rows if e["cat"] in GPU
        and e["args"]["correlation"] == launch["args"]["correlation"]
    ]  # fmt: skip
    graph = ops(trace, Kind.GRAPH_LAUNCH)[0]

    assert len(kernels) > 500
    assert graph.extras["kernels"] == len(kernels)
    assert trace.end[graph.id] - trace.begin[graph.id] == max(
        int((e["ts"] + e["dur"]) * 1000) for e in kernels
    ) - min(int(e["ts"] * 1000) for e in kernels)
    assert len(ops(trace, Kind.GRAPH_LAUNCH)) == 1


def test_rocm_copies_with_a_stream_block_and_queues_are_a_gap() -> None:
    trace = load(content("mi250_rocm62_minitoy"))

    for op in ops(trace, Kind.MEMCPY):
        assert (op.bit("async_"), op.bit("wait"), op.stream) == (False, "stream", "2:0")
    assert len(ops(trace, Kind.MEMCPY)) == 2
    assert gap(trace, "streams are hardware queues") == 1
    assert [op.device for op in ops(trace, Kind.DEVICE_SYNCHRONIZE)] == [2]


def test_profiler_steps_are_regions_on_every_thread_that_calls() -> None:
    trace = load(content("mi250_rocm62_minitoy"))
    begins = [(op.name, op.thread) for op in ops(trace, Kind.REGION_BEGIN)]

    assert sorted(begins) == [
        ("ProfilerStep#1", "597913:597913"),
        ("ProfilerStep#1", "597913:598009"),
    ]


# Rules of binding


def test_a_wait_bound_to_a_future_record_gives_no_edge() -> None:
    trace = load(document(call("cudaEventRecord", 9), call("cudaStreamWaitEvent", 5), waits(5, 9)))

    assert [op.word for op in trace] == ["mark", "mark"]
    assert gap(trace, "cudaStreamWaitEvent: its record lies in the future") == 1
    assert ops(trace, Kind.MARK)[0].extras == {"unresolved": "stream_wait_event"}


@pytest.mark.parametrize("name", ["cudaLaunchKernel", "cudaFuncGetAttributes"])
def test_a_record_id_of_another_call_gives_no_edge(name: str) -> None:
    trace = load(document(call(name, 3), call("cudaStreamWaitEvent", 5), waits(5, 3)))

    assert not ops(trace, Kind.STREAM_WAIT_EVENT)
    assert gap(trace, "cudaStreamWaitEvent: its record id names a call") == 1


def test_two_records_that_disagree_about_a_stream_give_one_edge() -> None:
    trace = load(document(call("cudaEventRecord", 1), waits(5, 1), waits(6, 1, source=8)))

    assert list(bound(trace)) == [("0:e3", "0:20", "0")]
    assert gap(trace, "Stream Wait Event: two cuda_sync records disagree") == 1


def test_a_wait_takes_the_latest_known_record_before_it() -> None:
    # The id of the wait at 9 is of the record at 1, but the event was recorded again at 5.
    records = [call("cudaEventRecord", 1), call("cudaEventRecord", 5)]
    trace = load(document(*records, waits(9, 1), waits(8, 5, source=21)))

    assert list(bound(trace)) == [("0:e3", "0:20", "0:21"), ("0:e3", "0:20", "0:21")]


@pytest.mark.parametrize("stream", [-1, 4294967295])
def test_a_synchronise_of_no_stream_stays_unknown(stream: int) -> None:
    events = (call("cudaStreamSynchronize", 4), sync("Stream Sync", 4, stream=stream))
    trace = load(document(*events))

    assert [op.word for op in trace] == ["mark"]
    assert gap(trace, "cudaStreamSynchronize: its cuda_sync record has no stream") == 1


def test_a_device_synchronise_among_several_devices_stays_unknown() -> None:
    other = kernel(2)
    other["args"] = {**other["args"], "device": 1}
    events = (*PAIR, call("cudaLaunchKernel", 2), other, call("cudaDeviceSynchronize", 3))

    assert not ops(load(document(*events)), Kind.DEVICE_SYNCHRONIZE)
    resolved = load(document(*events, sync("Context Sync", 3, device=1)))
    assert [op.device for op in ops(resolved, Kind.DEVICE_SYNCHRONIZE)] == [1]


def test_an_event_row_resolves_a_record() -> None:
    row = {**kernel(4), "cat": "cuda_event", "name": "cuda_event"}
    row["args"] = {**row["args"], "event_id": 6}
    trace = load(document(call("cudaEventRecord", 4), row))

    assert [(op.obj, op.stream) for op in ops(trace, Kind.EVENT_RECORD)] == [("0:e6", "0")]


def test_contexts_tell_streams_apart() -> None:
    other = kernel(2)
    other["args"] = {**other["args"], "context": 2}
    trace = load(document(*PAIR, call("cudaLaunchKernel", 2), other))

    assert [op.stream for op in ops(trace, Kind.LAUNCH)] == ["0:1:7", "0:2:7"]


def test_work_from_before_the_window_comes_first_on_threads_of_its_own() -> None:
    trace = load(
        document(*(call("cudaLaunchKernel", 9), kernel(9), kernel(4, 5), kernel(3, 4, 20)))
    )

    found = [(op.stream, op.thread, trace.t[op.id] == NONE) for op in trace]
    assert found == [
        ("0:20", "kineto:0:20", True), ("0", "kineto:0:0", True), ("0", "1:2", False),
    ]  # fmt: skip
    assert gap(trace, "device work launched before the recording") == 2


def test_order_follows_correlation_ids_not_start_times() -> None:
    first, second = call("cudaLaunchKernel", 1, 30), call("cudaLaunchKernel", 2, 10, tid=3)
    trace = load(document(second, first, kernel(2, 50), kernel(1, 40)))

    assert [op.thread for op in trace] == ["1:2", "1:3"]


@pytest.mark.parametrize(
    ("api", "name", "kind", "waits", "spaces"),
    [
        ("cudaMemcpy", "HtoD (Pageable -> Device)", "H2D", (False, "legacy"), "pageable device"),
        ("cudaMemcpyAsync", "HtoD (Pinned -> Device)", "H2D", (True, None), "pinned device"),
        ("cudaMemcpyAsync", "PtoP (Device -> Device)", "P2P", (True, None), "device device"),
        ("cudaMemcpyAsync", "DtoH (Managed -> Pinned)", "D2H", (True, None), "managed pinned"),
        ("cudaMemcpy2DAsync", "AtoD (Array -> Device)", "D2D", (True, None), "device device"),
        ("hipMemcpyWithStream", "DtoH (Device -> Host)", "D2H", (False, "stream"), "device pinned"),
        ("hipMemcpy", "HtoD (Host -> Device)", "H2D", (True, None), "pinned device"),
        ("hipMemcpyAsync", "of another kind", None, (True, None), "device device"),
    ],
)  # fmt: skip
def test_copies(
    api: str, name: str, kind: str | None, waits: tuple[bool, str | None], spaces: str
) -> None:
    row = {**kernel(1), "cat": "gpu_memcpy", "name": f"Memcpy {name}"}
    trace = load(document(call(api, 1), row))
    op = ops(trace, Kind.MEMCPY)[0]
    fields = op.fields()

    assert (op.bit("kind"), op.bit("async_"), op.bit("wait")) == (kind, *waits)
    ends = [fields[key][0].removeprefix("kineto:") for key in ("src", "dst")]
    assert ends == spaces.split()
    assert {m.obj: m.bit("space") or "device" for m in ops(trace, Kind.MALLOC)} == {
        f"kineto:{space}": space for space in spaces.split()
    }


@pytest.mark.parametrize(
    ("around", "word"),
    [
        (["aten::item", "aten::_local_scalar_dense"], "item"),
        (["aten::is_nonzero", "aten::item"], "bool"),
        (["aten::index", "aten::nonzero"], "mask_index"),
        (["aten::index", "aten::to", "aten::copy_"], "to"),
        (["aten::nonzero"], "nonzero"),
        (["aten::add"], None),
    ],
)
def test_via_is_what_the_program_wrote(around: list[str], word: str | None) -> None:
    nest = [
        {"ph": "X", "cat": "cpu_op", "name": n, "pid": 1, "tid": 2, "ts": i, "dur": 30 - i}
        for i, n in enumerate(around)
    ]
    late = {**nest[0], "name": "aten::nonzero", "ts": 40}
    copy = {**kernel(1), "cat": "gpu_memcpy", "name": "Memcpy DtoH (Device -> Pageable)"}
    trace = load(document(late, *nest, call("cudaMemcpyAsync", 1), copy))

    assert ops(trace, Kind.MEMCPY)[0].via == word


# Values


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("1683564901548726", 0, 1683564901548726_000),
        ("1365627863588.761", 1767189312 * 10**9, 1768554939863588_761),
        ("1712195495519695.8", 0, 1712195495519695_800),
        ("7889237999999.999", 1782967788 * 10**9, 1790857025999999_999),
        ("5.74", 0, 5_740),
        ("-0.5", 0, -500),
        ('"12.25"', 0, 12_250),
        ("1.5e3", 0, 1_500_000),
    ],
)
def test_times_are_exact_to_the_nanosecond(text: str, base: int, expected: int) -> None:
    data = document(*PAIR, baseTimeNanoseconds=base).replace('"ts": 20', f'"ts": {text}')
    trace = load(data)

    assert int(trace.begin[0]) == expected
    assert int(trace.end[0]) == expected + 2_000


@pytest.mark.parametrize("text", ["1e400", "1e99999999", '"soon"', "null", "9" * 20, "9" * 5000])
def test_a_time_that_is_none_is_left_out(text: str) -> None:
    trace = load(document(*PAIR).replace('"ts": 20', f'"ts": {text}'))

    assert (len(trace), int(trace.begin[0]), int(trace.end[0])) == (1, NONE, NONE)


def test_numbers_may_be_text_and_odd_types_do_no_harm() -> None:
    odd = [
        {**kernel(1), "pid": True, "tid": 1.5, "args": {
            "device": "0", "stream": "7", "context": "1", "correlation": "1", "bytes": "?"}},
        {"ph": "X", "cat": "kernel", "name": None, "args": [1]},
        {"ph": "X", "cat": "kernel", "name": "far", "ts": 1, "dur": 1,
         "args": {"device": 2**40, "stream": 7, "correlation": 2}},
        {"name": 5},
    ]  # fmt: skip
    trace = load(document(call("cudaLaunchKernel", 1), *odd))

    assert [(op.stream, op.name) for op in trace] == [("0", "k")]
    assert trace.damage is None
    assert gap(trace, "device work without a device or a stream") == 2


def test_keys_may_stand_before_or_after_the_events() -> None:
    header = {"baseTimeNanoseconds": 5_000, "distributedInfo": {"rank": 3, "world_size": 8}}
    after = load(json.dumps({"traceEvents": PAIR, **header}))
    before = load(json.dumps({**header, "traceEvents": PAIR}))

    for trace in (after, before):
        assert (trace.header.rank, trace.header.world_size, int(trace.begin[0])) == (3, 8, 25_000)


def test_the_header_promises_nothing_and_names_the_source() -> None:
    header = load(document(*PAIR)).header

    assert header.source == "kineto"
    assert header.complete == Complete(accesses=False, host=False, sync=False, memory=False)


def test_metadata_never_reaches_the_trace() -> None:
    secret = "hunter2"  # noqa: S105
    data = document(
        *PAIR,
        {"name": "process_labels", "ph": "M", "pid": 1, "args": {"labels": secret}},
        metadata={"env": {"TOKEN": secret}}, traceName=f"/home/{secret}/x.json", INFO=[secret],
        hostname=secret, distributedInfo={"rank": 0, "host": secret},
        deviceProperties=[{"id": 0, "name": "GPU", "uuid": secret}],
    )  # fmt: skip
    trace = load(data)

    assert secret not in repr((trace.names, trace.header, trace.header_extras, trace.extras))
    assert secret not in repr((trace.gaps, trace.damage, trace.tags))


# Containers


def test_a_bare_array_is_a_trace() -> None:
    assert [op.word for op in load(json.dumps(PAIR))] == ["launch"]
    assert load(json.dumps(PAIR)).damage is None
    assert load(b"\xef\xbb\xbf" + json.dumps(PAIR).encode()).damage is None


def test_a_file_without_events_is_an_empty_trace_with_a_gap() -> None:
    for text in (document(), "[]", '{"traceEvents": [ ]\n}'):
        trace = load(text)
        assert (len(trace), trace.damage) == (0, None)
        assert gap(trace, "the file holds no work of a device") == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"schema": "1.1.0", "pid": 1, "time": "x", "nodes": [{"id": 1}]}', "execution trace"),
        ("[[1, 2], [3, 4]]", "memory timeline"),
        ('{"rocprofiler-sdk-tool": [{"metadata": {}}]}', "rocprofiler"),
        ('{"a": 1}', "no traceEvents"),
        ('{"traceEvents": {"a": 1}}', "traceEvents is not an array"),
        ('{"schemaVersion": 1, "deviceProp', "damaged or cut before its events"),
        ("[1, 2]", "not of events"),
        ("ph, cat, name", "not JSON"),
        ("", "empty"),
        ('{"a":' * 100_000, "damaged or cut"),
    ],
)  # fmt: skip
def test_other_kinds_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(TraceError, match=reason) as caught:
        load(text)
    assert caught.value.source == "test.json"


def test_sniffing() -> None:
    assert FORMAT.name == "kineto"
    assert FORMAT.suffixes == ()
    assert all(sniff(gzip.decompress(p.read_bytes())[:65536]) for p in DATA.glob("*.gz"))
    assert sniff(b'[{"ph": "X"}]')
    assert sniff(b"[[1, 2]]")
    assert sniff(b'{"schema": "1.0.1", "pid": 1, "nodes": [')
    assert not sniff(b'{"format": "streamsan-trace", "version": 1, "name": "traceEvents"}\n')
    assert not sniff(b'{"op": "launch"}')
    assert not sniff(b"")
    assert not sniff(b"SQLite format 3\0")


# Damage

MANY = [event for i in range(1, 1001) for event in (call("cudaLaunchKernel", i, i), kernel(i, i))]
GOOD = document(*MANY, baseTimeNanoseconds=7)


def broken(old: str, new: str | bytes) -> Trace:
    assert GOOD.count(old) == 1
    raw = new if isinstance(new, bytes) else new.encode()
    return load(GOOD.encode().replace(old.encode(), raw))


EVENT = json.dumps(kernel(500, 500))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name": "k"', '"name": "torch_compile at "a file", line 3"'),
        ('"name": "k"', '"name": "a\nb\x01"'),
        ('"name": "k"', '"name": "C:\\Users\\x"'),
        ('"name": "k"', '"name": "say "hi" in C:\\new\\x"'),
        ('"name": "k"', b'"name": "\xff\xfe k"'),
        ('"dur": 2', '"dur": 2, "value": NaN'),
        ('"dur": 2', '"dur": 2, "value": -Infinity'),
        ('"tid": 7', 'tid": 7'),
    ],
)
def test_one_broken_event_is_repaired(old: str, new: str | bytes) -> None:
    raw = new if isinstance(new, bytes) else new.encode()
    trace = broken(EVENT, EVENT.encode().replace(old.encode(), raw))

    assert len(trace) == 1000
    assert trace.damage is not None
    assert (trace.damage.kept, trace.damage.lost, trace.damage.line) == (2000, 0, 1)
    assert int(trace.begin[499]) == 500_007


def test_an_event_beyond_repair_is_lost_alone() -> None:
    trace = broken(EVENT, EVENT.replace('"ts": 500', '"ts": }{,]'))

    assert len(trace) == 999
    assert trace.damage is not None
    assert (trace.damage.kept, trace.damage.lost) == (1999, 1)
    assert gap(trace, "launching calls whose device work is not in the file") == 1


def test_an_event_nested_too_deeply_is_lost_alone() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    trace = broken(EVENT, EVENT.replace('"ts": 500', f'"deep": {deep}, "ts": 500'))

    assert len(trace) == 999
    assert trace.damage is not None
    assert trace.damage.lost == 1


def test_damage_names_its_line() -> None:
    lines = document(*MANY).replace('}}, {"ph"', '}},\n{"ph"')
    damaged = lines.replace(EVENT, EVENT.replace('"k"', '"a "b" c"'))
    trace = load(damaged)

    assert trace.damage is not None
    assert trace.damage.line == 1 + damaged[: damaged.index('"a "b" c"')].count("\n")


def test_a_truncated_file_gives_what_is_there() -> None:
    cut = GOOD.index(EVENT) + 40
    trace = load(GOOD[:cut])

    assert len(trace) == 499
    assert trace.damage is not None
    assert (trace.damage.kept, trace.damage.lost) == (999, 1)
    assert "ends before its events do" in trace.damage.reason


@pytest.mark.parametrize("end", ["}", "},"])
def test_a_file_cut_between_events_loses_none(end: str) -> None:
    text = '{"traceEvents": [' + json.dumps(list(PAIR))[1:-2] + end
    trace = load(text)

    assert len(trace) == 1
    assert trace.damage is not None
    assert trace.damage.lost == 0


def test_a_comma_before_the_end_is_damage_that_loses_nothing() -> None:
    trace = load('{"traceEvents": [' + json.dumps(list(PAIR))[1:-1] + ',\n], "traceName": "x"}')

    assert len(trace) == 1
    assert trace.damage is not None
    assert "comma" in trace.damage.reason
    assert trace.damage[1:] == (2, 0, None)


def test_damaged_keys_after_the_events_keep_the_base() -> None:
    text = document(*PAIR)[:-1] + ', "baseTimeNanoseconds": 5000, "traceName": "x'
    trace = load(text)

    assert int(trace.begin[0]) == 25_000
    assert trace.damage is not None
    assert "keys around the events" in trace.damage.reason


def test_nested_objects_that_look_like_event_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = {**kernel(1), "extra": [{"a": 1}, {"b": 2}, {"c": 3}]}
    tail = {"pg_config": [{"a": 1}, {"b": 2}]}
    for size in (1 << 19, 64):
        monkeypatch.setattr(kineto_events, "CHUNK", size)
        trace = load(document(call("cudaLaunchKernel", 1), nested, distributedInfo=tail))
        assert (len(trace), trace.damage) == (1, None)


@pytest.mark.parametrize("size", [64, 300, 1000, 4096])
@pytest.mark.parametrize("indent", [None, 2])
def test_chunks_of_any_size_give_the_same_trace(
    size: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(json.loads(content(ALEXNET)), indent=indent).encode()
    whole = load(data)
    monkeypatch.setattr(kineto_events, "CHUNK", size)
    monkeypatch.setattr("streamsan.traces.formats.kineto_header._FIRST", size)
    parts = load(data)

    assert parts.damage is None
    assert [op.fields() for op in parts] == [op.fields() for op in whole]
    assert parts.gaps == whole.gaps


def test_no_boundary_within_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kineto_events, "MAX_EVENT", 1 << 12)
    monkeypatch.setattr(kineto_events, "CHUNK", 1 << 10)
    monkeypatch.setattr("streamsan.traces.formats.kineto_header._FIRST", 1 << 10)
    with pytest.raises(TraceError, match="no event ends"):
        load('{"traceEvents": [{"name": "' + "x" * (1 << 14) + '"}]}')


# All recorded files


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared traces are not beside the repository")
def test_every_shared_trace_loads_whole() -> None:
    paths = sorted(SHARED.rglob("*.json.gz"))
    for path in paths:
        data = gzip.decompress(path.read_bytes())
        trace = load(data)
        assert trace.damage is None, path.name
        check_device_work(trace, data)
    assert len(paths) == 27
    rank0 = load(gzip.decompress((SHARED / "megatron_tp8_a100_8rank/rank0.json.gz").read_bytes()))
    assert gap(rank0, "cudaStreamWaitEvent: no cuda_sync record") == 338
    assert gap(rank0, "cudaEventRecord: no cuda_sync record") == 508
    assert not ops(rank0, Kind.STREAM_WAIT_EVENT)


@pytest.mark.parametrize(
    "filler",
    [
        "}" + " " * 300_000,
        "]" * 300_000,
        '"name": "' * 40_000,
        '"traceEvents": [' * 20_000,
        "{" * 9_000,
    ],
)
@pytest.mark.parametrize("start", ['{"traceEvents": [{"ph": "X", ', "{"])
def test_hostile_content_costs_linear_time(start: str, filler: str) -> None:
    begin = time.perf_counter()
    with suppress(TraceError):
        load(start + filler + " x")
    assert time.perf_counter() - begin < 5
