"""Chrome JSON: slices nest, flows have both ends, and our Kineto reader finds what went in."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import random_trace

from streamsan.checkers import check
from streamsan.checkers.reports.perfetto import CARRIED, carried, chrome_json
from streamsan.checkers.reports.perfetto_places import waits_for_stream
from streamsan.cli import main
from streamsan.traces import load
from streamsan.traces.formats.kineto import read
from streamsan.traces.model import Op, Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.text import parse

EXAMPLES = Path(__file__).parent.parent / "examples"
TIMED = """
    malloc h pinned 64
    malloc d device 64
    s: launch k w=d t=1000 t_end=1500 begin=2000 end=9000
    s: record e t=1600 t_end=1700
    0: memcpy h -> d sync t=1800 t_end=3000 begin=2100 end=2900
    t: memcpy d -> h sync t=3100 t_end=9900 begin=9100 end=9800
    t: wait e t=10000 t_end=10100
    T2: sync e t=10000 t_end=10050
    stream_sync t t=10200 t_end=10300
    device_sync t=10400 t_end=10500
    1@1: memset q t=10600 t_end=10700 begin=11000 end=11500
"""


def exported(trace: Trace, **how: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        chrome_json(HappensBefore(trace), check(trace).findings, **how)
    )
    return found


def back(trace: Trace) -> Trace:
    return read(io.BytesIO(chrome_json(HappensBefore(trace))), "test.json")


def nanoseconds(event: dict[str, Any], key: str) -> int:
    return round(float(event[key]) * 1000)


def check_structure(file: dict[str, Any]) -> None:
    """Slices of a track nest; a flow has a start and an end, each inside a slice, in time."""
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    flows: dict[tuple[str, Any], list[dict[str, Any]]] = defaultdict(list)
    for event in file["traceEvents"]:
        if event["ph"] == "X":
            begin = nanoseconds(event, "ts")
            span = (begin, begin + nanoseconds(event, "dur"))
            tracks[event["pid"], event["tid"]].append(span)
        elif event["ph"] in "sf":
            flows[event["cat"], event["id"]].append(event)
    for spans in tracks.values():
        around: list[tuple[int, int]] = []
        for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while around and around[-1][1] <= begin:
                around.pop()
            assert not around or end <= around[-1][1], "two slices of a track cut each other"
            around.append((begin, end))
    for ends in flows.values():
        assert sorted(end["ph"] for end in ends) == ["f", "s"]
        start, stop = sorted(ends, key=lambda end: -ord(end["ph"][0]))
        assert start["ts"] <= stop["ts"]
        assert start["name"] == stop["name"]
        assert stop["bp"] == "e"
        for side in ends:
            at, spans = nanoseconds(side, "ts"), tracks[side["pid"], side["tid"]]
            assert any(begin <= at <= till for begin, till in spans)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.trace.jsonl")), ids=lambda p: p.stem)
def test_examples_nest_and_their_flows_are_whole(path: Path) -> None:
    file = exported(load(str(path)))

    check_structure(file)
    words = Counter(event["ph"] for event in file["traceEvents"])
    assert words["X"] >= len(load(str(path))) - 4
    assert words["s"] == words["f"] > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_any_trace_nests(seed: int) -> None:
    check_structure(exported(random_trace(seed, 40)))


def test_work_that_overlaps_on_its_stream_still_nests() -> None:
    trace = parse("""
        s: launch a t=0 t_end=9 begin=10 end=50
        s: launch b t=10 t_end=19 begin=40 end=90
        s: launch c t=15 t_end=30
    """)
    file = exported(trace)

    check_structure(file)
    work = [e for e in file["traceEvents"] if e.get("cat") == "kernel"]
    assert [(nanoseconds(e, "ts"), nanoseconds(e, "dur")) for e in work] == [
        (10, 40), (50, 40), (90, 0),
    ]  # fmt: skip


def test_the_check_itself_notices() -> None:
    file = exported(parse(TIMED))
    broken = json.loads(json.dumps(file))
    flow = next(event for event in broken["traceEvents"] if event["ph"] == "f")
    broken["traceEvents"].remove(flow)
    with pytest.raises(AssertionError):
        check_structure(broken)
    first = next(event for event in file["traceEvents"] if event["ph"] == "X" and event["dur"])
    file["traceEvents"].append({**first, "ts": first["ts"] + first["dur"] / 2})
    with pytest.raises(AssertionError):
        check_structure(file)


def carried_ops(trace: Trace) -> list[Op]:
    """Give the ops that such a file carries, a framework's blocking copy as the pair it is."""
    found = []
    for op in trace:
        if op.word in CARRIED:
            found.append(op)
        if op.kind == Kind.MEMCPY and waits_for_stream(trace, op.id):
            found.append(op)
    return found


def direction(trace: Trace, op: Op) -> tuple[str, ...]:
    return tuple(trace.buffers.space[each.buffer] for each in op.accesses)


def compare(trace: Trace) -> None:
    again = back(trace)
    mine, theirs = carried_ops(trace), [op for op in again if op.word in CARRIED]
    streams: dict[str, str] = {}
    threads: dict[str, str] = {}
    twice = None
    assert len(mine) == len(theirs)
    for op, other in zip(mine, theirs, strict=True):
        word = "stream_synchronize" if op is twice else op.word
        twice = op if op.kind == Kind.MEMCPY and waits_for_stream(trace, op.id) else None
        assert other.word == word
        assert threads.setdefault(op.thread, other.thread) == other.thread
        number = int(trace.streams.of_op[op.id])
        if number >= 0:
            label = trace.streams.label[number]
            assert streams.setdefault(label, str(other.stream)) == other.stream
            assert other.device == trace.streams.device[number]
        if word == "launch":
            assert other.name == op.name
        if word in ("memcpy", "memset"):
            assert direction(again, other) == direction(trace, op)
    assert len(set(streams.values())) == len(streams)
    assert len(set(threads.values())) == len(threads)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.trace.jsonl")), ids=lambda p: p.stem)
def test_our_kineto_reader_finds_what_went_in(path: Path) -> None:
    compare(load(str(path)))


def test_times_bindings_and_streams_come_back() -> None:
    trace = parse(TIMED)
    compare(trace)
    again = back(trace)
    at = {(op.word, op.fields().get("t")): op for op in again}

    kernel = at["launch", 1000].fields()
    assert (kernel["begin"], kernel["end"], kernel["t_end"]) == (2000, 9000, 1500)
    blocking = at["memcpy", 1800].fields()
    assert (blocking["async_"], blocking["wait"], blocking["stream"]) == (False, "legacy", "0")
    assert at["memcpy", 3100].fields()["end"] == 9800
    order = HappensBefore(again)
    assert order.ordered(at["launch", 1000].id, at["stream_wait_event", 10000].id)
    assert order.ordered(at["launch", 1000].id, at["event_synchronize", 10000].id)
    assert at["device_synchronize", 10400].fields().get("device", 0) == 0
    assert at["memset", 10600].fields()["device"] == 1


def test_a_moved_event_is_bound_to_the_same_record() -> None:
    trace = parse("s: record e\nt: wait e\ns: launch k\ns: record e\nt: wait e")
    again = back(trace)
    waits = [op.id for op in again if op.word == "stream_wait_event"]
    records = [op.id for op in again if op.word == "event_record"]
    binding = HappensBefore(again).graph.binding

    assert [binding[wait] for wait in waits] == records


def test_what_is_carried_is_counted() -> None:
    trace = load(str(EXAMPLES / "swa_war_buggy.trace.jsonl"))

    assert carried(trace) == {
        "launch": 12, "event_record": 4, "stream_wait_event": 2, "memcpy": 2,
        "event_synchronize": 1,
    }  # fmt: skip


def test_findings_are_instants_with_their_missing_order() -> None:
    file = exported(load(str(EXAMPLES / "swa_war_buggy.trace.jsonl")))
    (instant,) = [e for e in file["traceEvents"] if e.get("cat") == "finding"]
    (start,) = [e for e in file["traceEvents"] if e["ph"] == "s" and e["name"].startswith("SO102")]

    assert instant["ph"] == "i"
    assert instant["args"]["ops"] == [16, 25]
    assert instant["args"]["headline"].startswith("Stream S may overwrite")
    assert start["name"] == "SO102: nothing orders op 16 before op 25"


@pytest.mark.parametrize(("edges", "some"), [("all", True), ("none", False)])
def test_edges_can_be_left_out(edges: str, some: bool) -> None:
    trace = load(str(EXAMPLES / "swa_war_fixed.trace.jsonl"))
    found = [e for e in exported(trace, edges=edges)["traceEvents"] if e.get("cat") == "order"]

    assert bool(found) is some


def test_the_whole_file(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    source = tmp_path / "in.trace.jsonl"
    header = '{"format": "streamsan-trace", "version": 1}\n'
    lines = [
        '{"op": "malloc", "buffer": "d", "bytes": 64}',
        '{"op": "launch", "stream": "s", "name": "</script>", "writes": ["d"]}',
        '{"op": "launch", "stream": "t", "name": "\u202e核", "reads": ["d"]}',
    ]
    source.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")

    assert main(["export", str(source), "--to", "perfetto", "-o", str(path)]) == 0

    golden("perfetto.json", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.trace.jsonl", "--to", "perfetto"], "no such file"),
        ([str(EXAMPLES / "n2.trace.jsonl"), "--to", "perfetto", "-o", "/nowhere/x"], "/nowhere/x"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments]) == 2

    error = capsys.readouterr().err
    assert words in error.lower()
    assert error.count("\n") == 1
