"""The order against an oracle on thousands of random programs, and against worked cases."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Byte, Oracle
from strategies import random_trace, traces

from streamsan.traces.order import HappensBefore
from streamsan.traces.text import parse

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

PROGRAMS = 3000
BATCHES = 10
ASKED = 80
"""Pairs of ops a program whose order is asked for."""

Told = set[tuple[frozenset[tuple[int, int]], tuple[int, int], str]]


def order_of(text: str) -> HappensBefore:
    """Give the order of a program in the mini-language."""
    return HappensBefore(parse(text), engine="python")


def told(order: HappensBefore) -> Told:
    """Give the races in the oracle's words: accesses by (op, index into the trace's accesses)."""
    placed = order.placed
    return {
        (
            frozenset((int(placed.op[k]), int(placed.source[k])) for k in (r.first, r.second)),
            r.ops,
            r.kind,
        )
        for r in order.races()
    }


def check_races(order: HappensBefore, oracle: Oracle) -> tuple[int, int]:
    """Compare races and pairs; give how many races and how many pairs there are."""
    mine = told(order)
    assert mine == oracle.races()
    placed = order.placed
    racing = {pair for pair, _, _ in mine}
    pairs = {
        frozenset((int(placed.op[k]), int(placed.source[k])) for k in pair)
        for pair in order.pairs.tolist()
    }
    assert pairs <= racing
    # one pair per cause: what hides a race is told itself, so no byte that races goes untold
    touched = {(touch.op, touch.source): touch.bytes for touch in oracle.touches}
    racing_bytes = {byte for pair in racing for byte in both(pair, touched)}
    assert racing_bytes == {byte for pair in pairs for byte in both(pair, touched)}
    return len(mine), len(pairs)


def both(
    pair: frozenset[tuple[int, int]], touched: dict[tuple[int, int], frozenset[Byte]]
) -> frozenset[Byte]:
    """Give the bytes that both accesses of a pair touch."""
    return frozenset.intersection(*(touched[access] for access in pair))


def check_order(order: HappensBefore, oracle: Oracle, rng: random.Random) -> tuple[int, int]:
    """Compare some pairs of ops; give how many are ordered and how many are not."""
    ordered = concurrent = 0
    ops = len(order.trace)
    quiet = {"event_record", "stream_wait_event"}
    for _ in range(ASKED):
        a, b = rng.randrange(ops), rng.randrange(ops)
        if a == b:
            continue
        forth, back = oracle.ordered(a, b), oracle.ordered(b, a)
        assert order.ordered(a, b) == forth, (a, b)
        assert order.ordered(b, a) == back, (b, a)
        assert order.concurrent(a, b) == (not forth and not back), (a, b)
        # a program that contradicts itself may put a record after its own call's consequences
        assert not (forth and back) or quiet & {order.trace[a].word, order.trace[b].word}, (a, b)
        ordered += forth or back
        concurrent += not forth and not back
    return ordered, concurrent


def check_steps(order: HappensBefore, rng: random.Random) -> None:
    """Every chain is one of edges of the graph, and none is given where there is no order."""
    ops = len(order.trace)
    a, b = rng.randrange(ops), rng.randrange(ops)
    chain = order.why(a, b)
    assert bool(chain) == (a != b and order.ordered(a, b))
    if chain:
        assert (chain[0].source_op, chain[-1].target_op) == (a, b)
        for one, two in itertools.pairwise(chain):
            assert one.target_op == two.source_op
    near = order.nearly(a, b)
    assert near is None or not order.ordered(a, b)


def compare(trace: Trace, rng: random.Random) -> tuple[int, int, int, int]:
    order = HappensBefore(trace, engine="python")
    oracle = Oracle(order)
    check_steps(order, rng)
    return *check_races(order, oracle), *check_order(order, oracle, rng)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_agree_with_the_oracle(batch: int) -> None:
    rng = random.Random(batch)  # noqa: S311
    count = PROGRAMS // BATCHES
    seen = [0, 0, 0, 0]
    for seed in range(batch * count, (batch + 1) * count):
        try:
            found = compare(random_trace(seed, ops=8 + seed % 24), rng)
        except AssertionError as error:
            raise AssertionError(f"random_trace({seed}, ops={8 + seed % 24})") from error
        seen = [total + mine for total, mine in zip(seen, found, strict=True)]

    races, pairs, ordered, concurrent = seen
    # both verdicts are there in number, and the reduction to causes does something
    assert races > count
    assert 0 < pairs < races
    assert min(ordered, concurrent) > 5 * count


@given(traces(), st.randoms(use_true_random=False))
def test_shrinkable_programs_agree_with_the_oracle(trace: Trace, rng: random.Random) -> None:
    compare(trace, rng)


def test_an_order_that_lacks_an_edge_is_told_from_the_right_one() -> None:
    # The oracle reads the same graph, so it must see through clocks that are too generous.
    order = order_of("s1: launch w=a; s2: launch r=a")
    oracle = Oracle(order)
    order.clocks.rows[:] = 9

    assert order.ordered(0, 1)
    assert not oracle.ordered(0, 1)
    assert told(order) != oracle.races()
