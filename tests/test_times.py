"""The order against recorded times: hand-worked gaps, every pair asked for, real profiles."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from strategies import random_trace

from streamsan.traces import Trace, load
from streamsan.traces.model import NONE
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line
from streamsan.traces.order.times import Contradiction, hold_against_times
from streamsan.traces.text import parse

PROFILES = Path(__file__).parent / "data" / "kineto"
DEVICE = (Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET)
WAITED = "s1: launch k w=a; s1: record e; s2: wait e; s2: launch k r=a"


def timed(
    text: str, spans: dict[int, tuple[int, int]], returns: dict[int, int] | None = None
) -> HappensBefore:
    trace = parse(text)
    return HappensBefore(with_times(trace, spans, returns or {}))


def with_times(trace: Trace, spans: dict[int, tuple[int, int]], returns: dict[int, int]) -> Trace:
    begin, end, t_end = (np.full(len(trace), NONE, np.int64) for _ in range(3))
    for op, (first, last) in spans.items():
        begin[op], end[op] = first, last
    for op, when in returns.items():
        t_end[op] = when
    return replace(trace, begin=begin, end=end, t_end=t_end)


def test_what_was_waited_for_had_to_be_over() -> None:
    held = hold_against_times(timed(WAITED, {0: (0, 100), 3: (90, 120)}))

    assert (held.checked, held.closest) == (1, -10)
    assert held.contradictions == (Contradiction(0, 3, 10),)


def test_within_the_tolerance_it_is_no_contradiction() -> None:
    held = hold_against_times(timed(WAITED, {0: (0, 100), 3: (90, 120)}), tolerance=10)

    assert (held.closest, held.contradictions) == (-10, ())


def test_what_nothing_orders_may_overlap() -> None:
    text = "s1: launch k w=a; s2: launch k r=a"
    held = hold_against_times(timed(text, {0: (0, 100), 1: (9, 50)}))

    assert (held.checked, held.closest) == (0, None)


def test_the_latest_end_decides_not_the_last_op() -> None:
    text = "s1: launch k w=a; s1: launch k w=b; s1: launch k w=c"
    held = hold_against_times(timed(text, {0: (0, 100), 1: (10, 20), 2: (60, 90)}))

    assert [(each.first, each.second, each.by) for each in held.contradictions] == [
        (0, 1, 90), (0, 2, 40),
    ]  # fmt: skip


def test_a_wait_that_returns_too_early_is_told() -> None:
    text = "s1: launch k w=a; stream_sync s1; s2: launch k w=a; stream_sync s1"
    held = hold_against_times(timed(text, {0: (0, 100), 2: (110, 200)}, {1: 70, 3: 150}))

    assert held.contradictions == (Contradiction(0, 1, 30),)
    assert held.checked == 3  # both waits, and the second launch


@pytest.mark.parametrize("seed", range(150))
def test_it_says_what_asking_for_every_pair_says(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    trace = random_trace(seed, 30)
    graph = HappensBefore(trace, engine="python").graph
    on_stream = [graph.lane_line[lane] is Line.STREAM for lane in graph.node_lane[graph.op_node]]
    device = [op.id for op in trace if op.kind in DEVICE and on_stream[op.id]]
    spans = {op: (first := rng.randrange(50), first + rng.randrange(50))
             for op in device if rng.random() < 0.8}  # fmt: skip
    order = HappensBefore(with_times(trace, spans, {}), engine="python")
    held = hold_against_times(order)
    main = {op: order.main_node(op) for op in spans}

    expected = {
        b: max(spans[a][1] for a in before)
        for b in spans
        if (before := [a for a in spans if order.clocks.is_before(main[a], main[b])])
    }
    assert held.checked == len(expected)
    assert {each.second: each.by for each in held.contradictions} == {
        b: end - spans[b][0] for b, end in expected.items() if end > spans[b][0]
    }


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.json.gz")), ids=lambda path: path.stem)
def test_no_real_device_time_contradicts_the_order(path: Path) -> None:
    order = HappensBefore(load(path))
    held = hold_against_times(order, tolerance=2_000)  # times were truncated to us, each by itself

    assert held.contradictions == ()
    assert held.checked > 0 or len(order.trace) <= 3
