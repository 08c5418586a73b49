"""A wait exists, but it stands for a record that misses the producer.

What it does:
    Given with an unordered conflict, never alone: names the wait on the reader's line whose event
    was recorded on the producer's stream before the producer, or was recorded again elsewhere.

Why it is wrong:
    A record captures what its stream holds at that call (R3). Work enqueued later is not covered,
    though code and timeline look synchronised.

Bad:
    s1: record e
    s1: launch produce w=a
    s2: wait e
    s2: launch consume r=a

Good:
    s1: launch produce w=a
    s1: record e
    s2: wait e
    s2: launch consume r=a

Fix:
    Move the record behind the producer; ask for the current stream where it is used, not at start.

Limits:
    A hint. The hazard itself is the finding beside it. The nearest 32 waits of a line count.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.events import Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces.order import HappensBefore


def check(conflicts: list[Conflict], waits: Waits, evidence: Evidence) -> Iterator[Finding]:
    """Report the wait that was meant to cover each conflict."""
    told: set[tuple[int, int]] = set()
    for conflict in conflicts:
        found = _meant(evidence.order, waits, conflict)
        if found is None or (conflict.ops[0], found[0]) in told:
            continue
        wait, record = found
        told.add((conflict.ops[0], wait))
        message = (
            f"{evidence.call(wait)} stands for the record by {evidence.call(record)}, which does "
            f"not cover {evidence.call(conflict.ops[0])}"
        )
        hint = f"record event {evidence.trace[wait].obj} after op {conflict.ops[0]}"
        yield evidence.make(
            *RULE.head, "missed-producer", tuple(sorted((conflict.ops[0], wait))), message, hint,
            details={"conflict": list(conflict.ops), "record": record},
        )  # fmt: skip


def _meant(order: HappensBefore, waits: Waits, conflict: Conflict) -> tuple[int, int] | None:
    """Give the latest wait before the second op whose event was also recorded by the producer."""
    placed, graph, clocks = order.placed, order.graph, order.clocks
    if conflict.sides[0] != "device":
        return None
    source, target = int(placed.node[conflict.first]), int(placed.node[conflict.second])
    lane, producer = int(graph.node_lane[target]), conflict.ops[0]
    streams = order.trace.streams.of_op
    for wait, record in waits.before_on_line(lane, conflict.ops[1]):
        node = int(graph.op_node[wait])
        if node != target and not clocks.is_before(node, target):
            continue
        on_stream = [r for r in waits.records_before(wait) if streams[r] == streams[producer]]
        if not on_stream or clocks.is_before(source, int(graph.op_node[record])):
            continue
        return wait, record
    return None


RULE = Rule("SO302", "edge-misses-producer", "info", ("accesses", "sync"), check)
