"""A wait for an event that has no record at that point.

What it does:
    Finds stream waits and host synchronises on an event without a generation; and, with confidence
    `possible`, waits whose record is on another thread that nothing orders before the wait. Only
    info where nothing that the waiter does later is in danger.

Why it is wrong:
    Before its first record an event is an empty set: the wait does nothing and says nothing (R5).
    What was meant to be ordered is not.

Bad:
    s1: launch produce w=a
    s2: wait e
    s1: record e
    s2: launch consume r=a

Good:
    s1: launch produce w=a
    s1: record e
    s2: wait e
    s2: launch consume r=a

Fix:
    Record first. Where the order must be inverted, wait for a value.

Limits:
    The first turn of a loop that records at its end waits for nothing, rightly: info.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.events import Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding, Severity
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore


def check(
    trace: Trace, waits: Waits, conflicts: list[Conflict], evidence: Evidence
) -> Iterator[Finding]:
    """Report waits without a record."""
    if not trace.header.complete.sync:
        return
    destroyed = waits.destroyed
    for wait in waits.unrecorded:
        if wait in destroyed:
            continue
        severity: Severity = "error" if endangers(evidence.order, conflicts, wait) else "info"
        later = _later_record(trace, wait)
        message = f"{evidence.call(wait)} waits for event {trace[wait].obj}, which has no record"
        hint = "record the event before it is waited for"
        if later is not None:
            message += f" before {evidence.call(later)}"
        yield evidence.make(
            RULE.code, RULE.name, severity, "unrecorded-wait", (wait,), message, hint
        )
    for wait, record in waits.bound:
        if trace.thread[wait] != trace.thread[record] and not _called_before(
            evidence.order, record, wait
        ):
            message = (
                f"{evidence.call(wait)} waits for event {trace[wait].obj}, but nothing orders its "
                f"record by {evidence.call(record)} on {trace[record].thread} before the wait"
            )
            hint = "hand the event over: signal after the record, await before the wait"
            yield evidence.make(
                *RULE.head, "unrecorded-wait", (wait,), message, hint, confidence="possible"
            )


def endangers(order: HappensBefore, conflicts: list[Conflict], wait: int) -> bool:
    """Whether work that comes after a wait conflicts, unordered, with work of another line."""
    node = int(order.graph.op_node[wait])
    lane = int(order.graph.node_lane[node])
    for conflict in conflicts:
        ends = [int(order.placed.node[i]) for i in (conflict.first, conflict.second)]
        for mine, other in (ends, ends[::-1]):
            after = order.clocks.is_before(node, mine)
            if after and int(order.graph.node_lane[other]) != lane:
                return True
    return False


def _later_record(trace: Trace, wait: int) -> int | None:
    same = (trace.kind == Kind.EVENT_RECORD) & (trace.obj == trace.obj[wait])
    later = np.flatnonzero(same)
    later = later[later > wait]
    return int(later[0]) if len(later) else None


def _called_before(order: HappensBefore, record: int, wait: int) -> bool:
    """Whether the call that records comes before the call that waits, by the threads' own order."""
    graph = order.graph
    after = _host_nodes(order, record)
    before = _host_nodes(order, wait)
    nexts = after[graph.node_op[after] > record]
    lasts = before[graph.node_op[before] < wait]
    return bool(len(nexts) and len(lasts) and order.clocks.is_before(int(nexts[0]), int(lasts[-1])))


def _host_nodes(order: HappensBefore, op: int) -> np.ndarray:
    """Give the nodes on the lane of the thread that issued an op."""
    lane = order.graph.lane_label.index(f"host:{order.trace[op].thread}")
    return np.flatnonzero(order.graph.node_lane == lane)


RULE = Rule("SO301", "unrecorded-wait", "error", ("sync",), check)
