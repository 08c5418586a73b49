"""The machine judges the order: on random programs both name the same conflicting pairs.

The machine and ``traces.order`` share nothing but the trace. A pair that exhaustive exploration
sees in both orders, or at once, is a race of the order, and the other way round; a program without
a race has one value for every read. Dropping any kind of edge from the order is noticed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from strategies import random_trace
from test_litmus import PROGRAMS, raced, trace_of

from streamsan.checkers import check
from streamsan.sim.machine import compile_trace, explore, races
from streamsan.traces import ops as o
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.semantics import Lowering
from streamsan.traces.order.semantics.events import Events
from streamsan.traces.order.semantics.walk import Walk
from streamsan.traces.text import format_trace

if TYPE_CHECKING:
    from streamsan.sim.machine import Exploration
    from streamsan.traces import Trace

PROGRAM_BATCH = 250
BATCHES = 8
STATES = 3000
Judged = list[tuple["Trace", set[tuple[int, ...]]]]
"""Programs, with the races that the machine sees in them."""
IMPLICIT = {Reason.PROGRAM, Reason.STREAM, Reason.VALUE}
"""Lanes and value waits are no edges of the walk."""


def data_reads(found: Exploration) -> set[tuple[Any, ...]]:
    """Give what the reads of bytes got, over all outcomes."""
    return {
        tuple(
            values
            for touch, values in zip(found.program.entries, each.outcome.reads, strict=True)
            if not touch.life
        )
        for each in found.found
    }


def compare(trace: Trace, *, halves: bool) -> str:
    """Compare machine and order on one trace; say what sort of program it is."""
    found = explore(compile_trace(trace, halves=halves), max_states=STATES)
    if not found.complete:
        return "bound"
    if any(each.outcome.stuck for each in found.found):
        return "stuck"  # the order speaks of ops that never run
    expected = raced(HappensBefore(trace, engine="python"))
    assert races(found.orders) == expected, format_trace(trace)
    if expected:
        return "racy"
    assert len(data_reads(found)) == 1, format_trace(trace)
    return "clean"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_machine_and_the_order_name_the_same_races(batch: int) -> None:
    sorts: Counter[str] = Counter()
    words: set[str] = set()
    for seed in range(batch * PROGRAM_BATCH, (batch + 1) * PROGRAM_BATCH):
        trace = random_trace(seed, 8)
        words |= {op.word for op in trace}
        sorts[compare(trace, halves=seed % 5 == 0)] += 1

    assert min(sorts["racy"], sorts["clean"]) > PROGRAM_BATCH // 4
    assert sorts["bound"] + sorts["stuck"] < PROGRAM_BATCH // 5
    assert len(set(o.WORDS) - words) < 4


@pytest.mark.fuzz_long
@pytest.mark.parametrize("seed", range(100_000, 300_000, 1000))
def test_the_machine_and_the_order_agree_on_many(seed: int) -> None:
    for each in range(seed, seed + 1000):
        compare(random_trace(each, 10), halves=False)


@pytest.fixture(scope="module")
def machine_races() -> Judged:
    traces = [trace_of(program) for program in PROGRAMS.values()]
    traces += [random_trace(seed, 12) for seed in range(400)]
    found: Judged = []
    for trace in traces:
        seen = explore(compile_trace(trace, halves=False), max_states=STATES)
        if seen.complete and not any(each.outcome.stuck for each in seen.found):
            found.append((trace, set(races(seen.orders))))
    return found


@pytest.mark.parametrize("reason", sorted(set(Reason) - IMPLICIT))
def test_an_edge_that_the_order_loses_is_noticed(
    reason: Reason,
    machine_races: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Walk.edge

    def without(self: Walk, source: int, target: int, why: int, via: int = -1) -> None:
        if why != reason:
            whole(self, source, target, why, via)

    monkeypatch.setattr(Walk, "edge", without)

    assert any(
        raced(HappensBefore(trace, engine="python")) != found for trace, found in machine_races
    )


def _drain(self: Lowering, op: int) -> None:
    """Take an op for one that waits for everything."""
    self.join(op, [self.tail[s] for s in range(len(self.trace.streams))], Reason.DEVICE_SYNC)


def _always(*_: object, **__: object) -> bool:
    return True


def _wait_for_all(self: Lowering, op: int) -> None:
    """Take a wait for an event that was never recorded for one that waits for everything."""
    Events.on_stream_wait_event(self, op)
    if self.binding[op] < 0:
        for stream in range(len(self.trace.streams)):
            self.edge(self.tail[stream], self.op_node[op], Reason.EVENT_WAIT)


@pytest.mark.parametrize(
    ("rule", "method", "wrong"),
    [
        ("R5", "on_stream_wait_event", _wait_for_all),
        ("R20", "_copy_returns", _always),
        ("R26", "on_malloc", _drain),
        ("R31", "on_stream_destroy", _drain),
        ("R32", "on_graph_capture", _drain),
        ("R53", "on_mark", _drain),
    ],
)
def test_an_edge_that_no_rule_gives_is_noticed(
    rule: str,
    method: str,
    wrong: Any,
    machine_races: Judged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lowering, method, wrong, raising=False)

    assert any(
        raced(HappensBefore(trace, engine="python")) != found for trace, found in machine_races
    ), rule


@pytest.mark.parametrize("batch", range(2))
def test_the_checkers_say_what_the_machine_sees(batch: int) -> None:
    told = 0
    for seed in range(batch * 150, (batch + 1) * 150):
        trace = random_trace(seed, 10)
        found = explore(compile_trace(trace, halves=False), max_states=STATES)
        if not found.complete or any(each.outcome.stuck for each in found.found):
            continue
        pairs = races(found.orders)
        findings = [f for f in check(trace).findings if f.rule.startswith(("SO1", "SO2", "SO701"))]
        for each in findings:
            one, *other = each.ops
            if each.rule.startswith("SO1") and each.confidence == "certain" and other != [one]:
                assert tuple(sorted(each.ops)) in pairs, format_trace(trace)
                told += 1
        for pair in pairs:
            assert any(set(pair) & set(f.ops) for f in findings), format_trace(trace)

    assert told > 100
