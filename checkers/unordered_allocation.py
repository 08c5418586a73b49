"""Stream-ordered memory is used, or freed, before its allocation is ordered.

What it does:
    Finds uses of a `malloc_async` buffer, and its `free_async`, that do not come after the
    allocation in its stream. The first such use of each line is told.

Why it is wrong:
    The pointer is valid only in stream order after the allocation (R28). On another stream, without
    an edge, the memory may not be there yet.

Bad:
    s: malloc_async p device 64
    s1: launch fill w=p

Good:
    s: malloc_async p device 64
    s: record e
    s1: wait e
    s1: launch fill w=p

Fix:
    Use it in stream order, or let the other stream wait for the allocating one.

Limits:
    After any host wait that covers the allocation every stream may use it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.lifetimes import Lifetimes
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.order import HappensBefore


def check(
    trace: Trace, order: HappensBefore, lifetimes: Lifetimes, evidence: Evidence
) -> Iterator[Finding]:
    """Report uses and frees that the allocation does not precede."""
    buffers = trace.buffers
    for buffer in np.flatnonzero(buffers.malloc >= 0).tolist():
        if buffers.allocator[buffer] != "stream_ordered" or buffers.owner[buffer] < 0:
            continue
        malloc = int(buffers.malloc[buffer])
        node = int(order.graph.op_node[malloc])
        for op, at in _first_uses(order, lifetimes, buffer, node):
            yield _finding(evidence, buffer, (malloc, op), (node, at), "use-before-alloc")
        free = int(buffers.free[buffer])
        if free >= 0 and not order.clocks.is_before(node, int(order.graph.op_node[free])):
            at = int(order.graph.op_node[free])
            yield _finding(evidence, buffer, (malloc, free), (node, at), "free-before-alloc")


def _first_uses(
    order: HappensBefore, lifetimes: Lifetimes, buffer: int, node: int
) -> Iterator[tuple[int, int]]:
    seen: set[int] = set()
    for access in lifetimes.accesses(buffer):
        at = int(order.placed.node[access])
        lane = int(order.graph.node_lane[at])
        if lane not in seen and not order.clocks.is_before(node, at):
            seen.add(lane)
            yield int(order.placed.op[access]), at


def _finding(
    evidence: Evidence, buffer: int, ops: tuple[int, int], nodes: tuple[int, int], kind: str
) -> Finding:
    name = evidence.buffer_name(buffer)
    fix = evidence.edge(ops[0], nodes[0], ops[1], nodes[1])
    hint = evidence.fix_words(fix, "let the line that uses it wait for the allocation")
    message = (
        f"{evidence.call(ops[1])} touches {name} on {evidence.line(ops[1], nodes[1])}, but nothing "
        f"orders it after the allocation by {evidence.call(ops[0])}"
    )
    return evidence.make(
        *RULE.head, kind, tuple(sorted(ops)), message, hint,
        fix=fix, buffer=name, details=evidence.missing(ops),
    )  # fmt: skip


RULE = Rule("SO205", "unordered-allocation", "error", ("accesses", "sync", "memory"), check)
