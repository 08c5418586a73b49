"""An event is recorded again before anything waited for its first record.

What it does:
    (a) Lost: a record had no wait, the event is recorded again, and a later wait stands for the new
    record, which does not cover what the first one captured. An error if a hazard depends on it.
    (b) Later than meant, info: on one stream the new record covers the old one, but the work in
    between conflicts with nothing after the wait: it is waited for needlessly.

Why it is wrong:
    A record replaces the one before it for all later waits (R4); records do not add up (R52).

Bad:
    s1: launch one w=a
    s1: record e
    s2: launch two w=b
    s2: record e
    s3: wait e
    s3: launch both r=a,b

Good:
    s1: launch one w=a
    s1: record e1
    s2: launch two w=b
    s2: record e2
    s3: wait e1
    s3: wait e2
    s3: launch both r=a,b

Fix:
    An event for each producer, a ring of events, or a wait for the old capture before recording
    again.

Limits:
    A "last only" event on one stream, whose later work the waiter does use, is no finding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.events import Generation, Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding, Severity
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore


def check(
    trace: Trace, waits: Waits, conflicts: list[Conflict], evidence: Evidence
) -> Iterator[Finding]:
    """Report records that were replaced before they were waited for."""
    order = evidence.order
    for life in waits.lives:
        for place, generation in enumerate(life):
            bound = next((g for g in life[place + 1 :] if g.waits), None)
            if generation.waits or bound is None:
                continue
            wait = bound.waits[0]
            captured = _captured(order, generation.record)
            new = int(order.graph.op_node[bound.record])
            lost = [n for n in captured if not order.clocks.is_before(n, new)]
            if lost:
                severity = _severity(order, conflicts, lost, wait)
                yield _lost(evidence, generation, bound, wait, severity)
            elif (
                trace.header.complete.accesses
                and captured
                and _needless(order, generation.record, bound.record, wait)
            ):
                yield _late(evidence, generation, bound, wait)


def _captured(order: HappensBefore, record: int) -> list[int]:
    """Give the last work that a record captured: on its own stream, and through legacy edges."""
    graph, trace = order.graph, order.trace
    node = int(graph.op_node[record])
    start, edges = graph.incoming
    found = [int(graph.edge_source[e]) for e in edges[start[node] : start[node + 1]]]
    before = int(graph.previous[node])
    while before >= 0 and trace.kind[graph.node_op[before]] == Kind.EVENT_RECORD:
        before = int(graph.previous[before])
    return [*found, before] if before >= 0 else found


def _severity(
    order: HappensBefore, conflicts: list[Conflict], lost: list[int], wait: int
) -> Severity:
    """An error where an unordered conflict goes from what was lost to what is after the wait."""
    clocks, placed = order.clocks, order.placed
    node = int(order.graph.op_node[wait])
    for conflict in conflicts:
        one, two = (int(placed.node[i]) for i in (conflict.first, conflict.second))
        covered = any(one == n or clocks.is_before(one, n) for n in lost)
        if covered and (two == node or clocks.is_before(node, two)):
            return "error"
    return "warning"


def _needless(order: HappensBefore, first: int, second: int, wait: int) -> bool:
    """Whether the work between two records of one stream conflicts with nothing after a wait."""
    graph, placed, clocks = order.graph, order.placed, order.clocks
    old, new = int(graph.op_node[first]), int(graph.op_node[second])
    if clocks.lane[old] != clocks.lane[new]:
        return False
    position = clocks.position[placed.node]
    on_lane = clocks.lane[placed.node] == clocks.lane[old]
    between = on_lane & (position > clocks.position[old]) & (position < clocks.position[new])
    after = clocks.before(int(graph.op_node[wait]), placed.node)
    if not between.any():
        return False
    for access in np.flatnonzero(between).tolist():
        base = placed.places.base[placed.place]
        same = after & (base == base[access])
        same &= placed.write | placed.write[access]
        for place in np.unique(placed.place[same]).tolist():
            if placed.places.overlap(int(placed.place[access]), place) is not None:
                return False
    return True


def _lost(
    evidence: Evidence, lost: Generation, bound: Generation, wait: int, severity: Severity
) -> Finding:
    event = evidence.trace[wait].obj
    message = (
        f"the record of event {event} by {evidence.call(lost.record)} is lost: "
        f"{evidence.call(bound.record)} records it again and {evidence.call(wait)} waits for that"
    )
    return evidence.make(
        RULE.code, RULE.name, severity, "event-rerecord", (lost.record, wait), message,
        "use an event for each producer, or wait for the old record before recording again",
        details={"bound": bound.record},
    )  # fmt: skip


def _late(evidence: Evidence, old: Generation, bound: Generation, wait: int) -> Finding:
    event = evidence.trace[wait].obj
    message = (
        f"{evidence.call(wait)} waits for the record of event {event} by "
        f"{evidence.call(bound.record)}; the one by {evidence.call(old.record)} would have been "
        "enough"
    )
    return evidence.make(
        RULE.code, RULE.name, "info", "event-rerecord", (old.record, wait), message,
        "use a ring of events, or wait before the next record",
        details={"bound": bound.record},
    )  # fmt: skip


RULE = Rule("SO304", "event-rerecord", "warning", ("sync",), check)
