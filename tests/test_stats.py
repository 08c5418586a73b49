"""``streamsan stats``: what it counts, against queries on the raw files; and how it is shown.

``RULES`` is the table of the expert rules of Nsight Systems: beside each the query that counts
the same in the raw export.
"""
# Queries are made of names that this file writes.
# ruff: noqa: S608

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nsys_tools import H100, TINY, K, calls, kernels, query, read, recorded, row, sync, write

from streamsan.checkers.reports.stats import Counting, Stats
from streamsan.checkers.reports.stats_advice import Advice, Thresholds, advise
from streamsan.checkers.reports.stats_gaps import explained_gaps
from streamsan.checkers.reports.stats_show import share, size_words, time_words
from streamsan.checkers.reports.stats_time import Spans, common, covered, gaps, union
from streamsan.cli import main
from streamsan.traces.formats import load
from streamsan.traces.model import Trace
from streamsan.traces.text import parse

KINETO = Path(__file__).parent / "data" / "kineto"
MS = 10**6

CALLED = (
    "{table} w JOIN CUPTI_ACTIVITY_KIND_RUNTIME r ON r.correlationId = w.correlationId "
    "AND (r.globalTid & ~0xFFFFFF) = w.globalPid JOIN StringIds s ON s.id = r.nameId"
)
COPIES = CALLED.format(table=K + "MEMCPY")
FILLS = CALLED.format(table=K + "MEMSET")
BUSY = """
WITH work AS ({work}),
ends AS (SELECT d, b, e, max(e) OVER (
    PARTITION BY d ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM work),
gap AS (SELECT d, before AS b, b AS e FROM ends WHERE b > before)
"""
RULES = {
    "cuda_memcpy_async": f"SELECT count(*) FROM {COPIES} WHERE s.value LIKE '%Async%' "
                         "AND (w.srcKind = 0 OR w.dstKind = 0)",
    "cuda_memcpy_sync": f"SELECT count(*) FROM {COPIES} WHERE s.value NOT LIKE '%Async%' AND "
                        "w.copyKind NOT IN (8, 10) AND NOT (w.copyKind = 1 AND w.bytes <= 65536)",
    "cuda_memset_sync": f"SELECT count(*) FROM {FILLS} WHERE s.value NOT LIKE '%Async%'",
    "cuda_api_sync": f"SELECT count(*) FROM {K}RUNTIME r JOIN StringIds s ON s.id = r.nameId "
                     "WHERE s.value LIKE 'cuda%Synchronize_v%'",
    "gpu_gaps": BUSY + "SELECT count(*) FROM gap WHERE e - b > {gap}",
    "gpu_time_util": BUSY + """,
span AS (SELECT d, min(b) AS b, max(e) AS e FROM work GROUP BY d),
n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29),
piece AS (SELECT d, b + (e - b) * i / 30 AS b, b + (e - b) * (i + 1) / 30 AS e FROM span, n),
idle AS (SELECT p.d, p.b, p.e, coalesce(sum(max(0, min(p.e, g.e) - max(p.b, g.b))), 0) AS idle
    FROM piece p LEFT JOIN gap g ON g.d = p.d AND g.b < p.e AND g.e > p.b GROUP BY p.d, p.b)
SELECT count(*) FROM idle WHERE (e - b - idle) * 100 < 50 * (e - b)""",
}  # fmt: skip


def sql(rule: str, path: Path, gap: int) -> int:
    """Count what a rule says in the raw file."""
    tables = {t for (t,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    if rule == "cuda_memset_sync" and K + "MEMSET" not in tables:
        return 0
    work = " UNION ALL ".join(
        f"SELECT deviceId AS d, start AS b, end AS e FROM {K}{table}"
        for table in ("KERNEL", "MEMCPY", "MEMSET")
        if K + table in tables
    )
    (count,) = query(path, RULES[rule].replace("{work}", work).replace("{gap}", str(gap)))[0]
    found: int = count
    return found


def advice(trace: Trace, limits: Thresholds | None = None) -> dict[str, Advice]:
    return {a.rule: a for a in advise(Counting(trace), limits)}


def stats(trace: Trace) -> Stats:
    return Counting(trace).stats()


# The expert rules


@pytest.mark.parametrize("gap_ms", [500, 1, 0])
@pytest.mark.parametrize("name", [H100, TINY])
@pytest.mark.parametrize("rule", RULES)
def test_expert_rules_count_what_a_query_counts(
    rule: str, name: str, gap_ms: int, tmp_path: Path
) -> None:
    path = recorded(name, tmp_path)
    found = advice(read(path), Thresholds(gap_ns=gap_ms * MS))

    assert found[rule].count == sql(rule, path, gap_ms * MS)


def test_the_recorded_files_have_something_to_count(tmp_path: Path) -> None:
    path = recorded(H100, tmp_path)
    limits = {"cuda_memcpy_async": 33, "cuda_api_sync": 33, "gpu_gaps": 5, "gpu_time_util": 2}

    assert {rule: sql(rule, path, MS) for rule in limits} == limits


def every_kind(path: Path) -> Path:
    """Write an export with blocking and asynchronous copies and fills."""
    names = ("cudaMemcpy", "cudaMemcpy", "cudaMemcpy", "cudaMemcpyAsync", "cudaMemcpyAsync",
             "cudaMemcpy", "cudaMemset", "cudaMemsetAsync", "cudaMemcpy2D")  # fmt: skip
    copies = [(1, 0, 2, 65536), (1, 0, 2, 65537), (2, 2, 1, 8), (2, 2, 0, 8), (1, 1, 2, 8),
              (8, 2, 2, 1 << 20)]  # fmt: skip
    rows = [
        row(key, copyKind=kind, srcKind=src, dstKind=dst, bytes=size)
        for key, (kind, src, dst, size) in enumerate(copies, 1)
    ]
    rows.append(row(9, copyKind=1, srcKind=1, dstKind=2, bytes=1 << 20))
    return write(
        path, calls(*((name, key) for key, name in enumerate(names, 1))),
        {K + "MEMCPY": rows, K + "MEMSET": [row(k, memKind=2, bytes=64) for k in (7, 8)]},
        kernels(row(20)),
    )  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_expert_rules_on_every_kind_of_copy(rule: str, tmp_path: Path) -> None:
    path = every_kind(tmp_path / "a")

    assert advice(read(path), Thresholds(gap_ns=5))[rule].count == sql(rule, path, 5)


def test_every_kind_of_copy_is_told_apart(tmp_path: Path) -> None:
    found = advice(read(every_kind(tmp_path / "a")))

    counts = {rule: found[rule].count for rule in RULES if rule.startswith("cuda_mem")}
    assert counts == {"cuda_memcpy_async": 1, "cuda_memcpy_sync": 3, "cuda_memset_sync": 1}
    assert found["cuda_memcpy_sync"].bytes == 65537 + 8 + (1 << 20)


@pytest.mark.parametrize(
    ("limits", "rule", "count"),
    [
        (Thresholds(small_upload=65535), "cuda_memcpy_sync", 4),
        (Thresholds(gap_ns=7), "gpu_gaps", 9),
        (Thresholds(gap_ns=8), "gpu_gaps", 1),
        (Thresholds(gap_ns=108), "gpu_gaps", 0),
        (Thresholds(chunks=1, utilisation=11), "gpu_time_util", 1),
        (Thresholds(chunks=1, utilisation=10), "gpu_time_util", 0),
    ],
)
def test_thresholds(limits: Thresholds, rule: str, count: int, tmp_path: Path) -> None:
    # Ten works of 2 ns, 10 ns apart, the last one 110 ns after the one before: 20 of 192 ns.
    assert advice(read(every_kind(tmp_path / "a")), limits)[rule].count == count


# Which pageable copies blocked


@pytest.mark.parametrize("path", sorted(KINETO.glob("a100*.gz")), ids=lambda p: p.name[:-8])
def test_which_copies_returned_after_the_device_was_done(path: Path) -> None:
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    ends = {
        e["args"]["correlation"]: e["ts"] + e["dur"]
        for e in events if e.get("cat") in ("cuda_runtime", "cuda_driver")
    }  # fmt: skip
    expected: Counter[tuple[str, str]] = Counter()
    waited: Counter[tuple[str, str]] = Counter()
    for e in events:
        if e.get("cat") == "gpu_memcpy" and e["args"]["correlation"] in ends:
            kind = "H2D" if "HtoD" in e["name"] else "D2H" if "DtoH" in e["name"] else "D2D"
            memory = next((m.lower() for m in ("Pageable", "Pinned") if m in e["name"]), "device")
            expected[kind, memory] += 1
            waited[kind, memory] += ends[e["args"]["correlation"]] >= e["ts"] + e["dur"]
    rows = [r for r in stats(load(str(path))).copies if r.kind != "memset"]

    assert {(r.kind, r.memory): (r.measured, r.waited) for r in rows} == {
        key: (count, waited[key]) for key, count in expected.items()
    }


# The table


def test_streams_devices_and_blocked_time(tmp_path: Path) -> None:
    tables = (
        calls(("cudaLaunchKernel", 1), ("cudaMemcpyAsync", 2), ("cudaStreamSynchronize", 3)),
        kernels(row(1, start=100, end=200)),
        {K + "MEMCPY": [row(2, stream=20, start=150, end=250, copyKind=1, srcKind=1, dstKind=2,
                            bytes=4096)]},
        sync(3),
    )  # fmt: skip
    found = stats(read(write(tmp_path / "a", *tables)))

    assert [(r.stream, r.ops, r.kernels, r.copies, r.busy_ns) for r in found.streams] == [
        ("0", 1, 1, 0, 100), ("0:20", 1, 0, 1, 100),
    ]  # fmt: skip
    (device,) = found.devices
    assert (device.span_ns, device.busy_ns, device.compute_ns) == (150, 150, 100)
    assert (device.transfer_ns, device.both_ns, device.idle_gaps) == (100, 50, 0)
    (copy,) = found.copies
    assert (copy.kind, copy.memory, copy.call, copy.bytes) == ("H2D", "pinned", "async", 4096)
    assert (copy.link_ns, copy.host_ns, copy.waited, copy.measured) == (100, 5, 0, 1)
    assert found.blocked_ns == {"1:9": 5}
    assert [(p.name, p.count, p.host_ns) for p in found.payers] == [("stream_synchronize", 1, 5)]
    assert found.missing == ("accesses", "host", "sync", "memory")


def test_host_blocked_in_the_h100_export_is_the_time_in_its_synchronises(tmp_path: Path) -> None:
    path = recorded(H100, tmp_path)
    expected = dict(query(path, (
        "SELECT ((r.globalTid >> 24) & 0xFFFFFF) || ':' || (r.globalTid & 0xFFFFFF), "
        f"sum(r.end - r.start) FROM {K}RUNTIME r JOIN StringIds s ON s.id = r.nameId "
        "WHERE s.value LIKE 'cudaStreamSynchronize%' GROUP BY 1"
    )))  # fmt: skip

    assert stats(read(path)).blocked_ns == expected


def test_unresolved_waits_are_counted(tmp_path: Path) -> None:
    rows = {r.kind: (r.count, r.unresolved) for r in stats(read(recorded(H100, tmp_path))).syncs}

    assert rows == {"stream_wait_event": (200, 200), "stream_synchronize": (33, 0)}


def test_a_trace_of_our_own_needs_no_times() -> None:
    found = stats(parse("malloc h pinned 64; malloc d 64; s: copy h -> d; s: launch k r=d; "
                        "stream_sync s"))  # fmt: skip

    (copy,) = found.copies
    assert (copy.kind, copy.bytes, copy.link_ns, copy.host_ns) == ("H2D", 64, None, None)
    assert [r.busy_ns for r in found.streams] == [None]
    assert (found.devices, found.missing) == ((), ())
    assert found.blocked_ns == {}
    assert [(p.name, p.count, p.host_ns) for p in found.payers] == [("stream_synchronize", 1, None)]


# Gaps and their causes


def gap_after(name: str, tmp_path: Path) -> str:
    """Give the cause of the one gap, from 19 to 1000, after a call that lasts from 20 to 900."""
    tables = (
        calls(("cudaLaunchKernel", 1)), calls((name, 2), start=20, end=900),
        calls(("cudaLaunchKernel", 3), start=950, end=960),
        kernels(row(1), row(3, start=1000, end=1001)), sync(2),
    )  # fmt: skip
    (gap,) = explained_gaps(Counting(read(write(tmp_path / "a", *tables))), 1)
    assert (gap.begin, gap.end) == (19, 1000)
    return gap.cause


def test_a_gap_in_which_the_host_waited_names_the_wait(tmp_path: Path) -> None:
    assert gap_after("cudaStreamSynchronize", tmp_path).startswith(
        "the host waited in stream_synchronize"
    )


def test_a_gap_in_which_the_host_did_other_things(tmp_path: Path) -> None:
    assert gap_after("cudaMalloc", tmp_path) == "the host had not launched the next op yet"


def test_a_gap_before_work_that_was_launched(tmp_path: Path) -> None:
    tables = (calls(("cudaLaunchKernel", 1), ("cudaLaunchKernel", 2), start=1, end=2),
              kernels(row(1), row(2, start=1000, end=1001)))  # fmt: skip
    (gap,) = explained_gaps(Counting(read(write(tmp_path / "a", *tables))), 1)

    assert gap.cause == "the next op was launched, and waited for other work"


def test_a_gap_before_work_without_a_call(tmp_path: Path) -> None:
    path = write(tmp_path / "a", kernels(row(1), row(2, start=1000, end=1001)))
    (gap,) = explained_gaps(Counting(read(path)), 1)

    assert gap.cause == "why is not known"


# Further classes


def test_device_wide_waits_repeated_and_unused_allocations() -> None:
    found = advice(parse("malloc a 64; malloc b 64; malloc c 32; s: launch k w=a; device_sync"))

    assert found["device_wide_sync"].count == 1
    assert (found["repeated_allocation"].count, found["repeated_allocation"].bytes) == (1, 64)
    assert (found["unused_allocation"].count, found["unused_allocation"].bytes) == (2, 96)
    assert found["unused_allocation"].examples == ("b", "c")


def test_a_trace_without_accesses_has_no_unused_allocations() -> None:
    found = advice(parse("#! complete accesses=false\nmalloc a 64"))

    assert found["unused_allocation"].count == 0


def test_a_piece_used_exactly_as_much_as_the_threshold_is_not_low(tmp_path: Path) -> None:
    work = kernels(row(1, start=0, end=40), row(2, start=90, end=100))
    trace = read(write(tmp_path / "a", work))
    counts = [advice(trace, Thresholds(chunks=1, utilisation=u))["gpu_time_util"].count
              for u in (50, 51)]  # fmt: skip

    assert counts == [0, 1]


# Spans


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=8)


def cells(found: list[tuple[int, int]]) -> set[int]:
    return {t for begin, length in found for t in range(begin, begin + length)}


def spans(found: list[tuple[int, int]]) -> Spans:
    begins = np.array([b for b, _ in found], dtype=np.int64)
    return union(begins, begins + np.array([n for _, n in found], dtype=np.int64))


@given(SPANS, SPANS, st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_spans_are_sets_of_instants(
    one: list[tuple[int, int]], other: list[tuple[int, int]], low: int, high: int, least: int
) -> None:
    mine, theirs = spans(one), spans(other)
    low, high = min(low, high), max(low, high)
    idle = gaps(mine, least)

    assert mine.total == len(cells(one))
    assert all(mine.end[:-1] < mine.begin[1:])
    assert common(mine, theirs) == len(cells(one) & cells(other))
    assert covered(mine, low, high) == len(cells(one) & set(range(low, high)))
    assert all(idle.end - idle.begin > least)
    assert not cells(list(zip(idle.begin, idle.end - idle.begin, strict=True))) & cells(one)


def test_allocations_of_a_profile_are_not_said_to_be_unused(tmp_path: Path) -> None:
    assert advice(read(recorded(TINY, tmp_path)))["unused_allocation"].count == 0


def test_low_overlap_is_of_transfers_not_of_copies_within_a_device(tmp_path: Path) -> None:
    found = advice(read(recorded(H100, tmp_path)))["low_overlap"]
    uploads = query(tmp_path / f"{H100}.sqlite", f"SELECT sum(end - start) FROM {K}MEMCPY "
                                                 "WHERE copyKind = 1")[0][0]  # fmt: skip

    assert (found.count, found.ns) == (2, uploads)


# Shown


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["stats", *arguments])
    told = capsys.readouterr()
    assert not told.err
    return status, told.out


def test_json_holds_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recorded(H100, tmp_path)
    status, out = run(capsys, str(path), "--format", "json", "--gap-ms", "1")
    (trace,) = json.loads(out)["traces"]

    assert status == 0
    assert trace["ops"]["launch"] == query(path, f"SELECT count(*) FROM {K}KERNEL")[0][0]
    counts = {a["rule"]: a["count"] for a in trace["advice"]}
    assert {rule: counts[rule] for rule in RULES} == {rule: sql(rule, path, MS) for rule in RULES}
    assert set(trace) >= {"streams", "copies", "syncs", "devices", "payers", "missing", "gaps"}


def test_text_shows_every_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, str(recorded(H100, tmp_path)))

    assert status == 0
    for title in ("Streams", "Copies and fills", "Synchronisation", "Devices", "Host blocked",
                  "Top payers", "Advice", "Unknown"):  # fmt: skip
        assert f"\n{title}\n" in out
    assert "H2D     pageable  async     34      272 B" in out


def test_names_of_a_trace_steer_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"format": "streamsan-trace", "version": 1},
        {"op": "stream_synchronize", "stream": "\x1b[31ms", "name": "\x1b[31mx\ny"},
    ]
    path = tmp_path / "a.trace.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    _, out = run(capsys, str(path))

    assert "\\x1b[31mx\\ny" in out
    assert "\x1b" not in out


def test_a_file_that_is_no_trace_costs_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("nothing")

    assert main(["stats", str(tmp_path / "a")]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert not told.out


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (time_words(None), "-"), (time_words(999), "999 ns"), (time_words(1500), "1.500 us"),
        (time_words(2 * 10**9), "2.000 s"), (size_words(1023), "1023 B"),
        (size_words(1 << 20), "1 MiB"), (share(1, 3), "33.3 %"), (share(0, 0), "-"),
    ],
)  # fmt: skip
def test_words(found: str, words: str) -> None:
    assert found == words


def test_units_hold_the_sums(tmp_path: Path) -> None:
    found: Any = stats(read(every_kind(tmp_path / "a")))

    assert sum(r.bytes for r in found.copies if r.kind == "H2D") == 65536 + 65537 + 8 + (1 << 20)
