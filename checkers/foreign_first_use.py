"""Reused memory is touched before its former tenant was done with it.

What it does:
    Finds two accesses of different buffers in the same memory, the former one freed in between,
    that conflict and that nothing orders. What a free too early already explains is SO201 or SO203.

Why it is wrong:
    The allocator orders a reuse only with the owner's stream. A new tenant first touched on another
    stream may meet the last accesses of the old one there (R36). `record_stream` cannot help: the
    block was not freed too early, it is used too early.

Bad:
    malloc x device 64 caching stream=s1 address=A
    s1: launch last r=x
    free x
    malloc y device 64 caching stream=s1 address=A
    s2: launch first w=y

Good:
    malloc x device 64 caching stream=s1 address=A
    s1: launch last r=x
    free x
    malloc y device 64 caching stream=s1 address=A
    s1: record e
    s2: wait e
    s2: launch first w=y

Fix:
    Allocate under the stream that uses the block first, or let that stream wait for the owner.

Limits:
    A `malloc` at a freed address proves that the allocator's own waits are over, and for
    `malloc_async` that the `free_async` is (R29); that orders the two tenants and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.lifetimes import Lifetimes
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces.ops import Kind


def check(conflicts: list[Conflict], lifetimes: Lifetimes, evidence: Evidence) -> Iterator[Finding]:
    """Report conflicts between tenants of one memory."""
    trace = evidence.trace
    told = {
        (int(evidence.order.placed.op[f.access]), f.buffer)
        for f in (*lifetimes.device_in_flight, *lifetimes.host_in_flight)
    }
    for conflict in conflicts:
        if not conflict.changes_tenant:
            continue
        if any((op, b) in told for op in conflict.ops for b in (conflict.former, conflict.buffer)):
            continue
        if any(trace.kind[op] == Kind.GRAPH_LAUNCH for op in conflict.ops) and _stale(
            conflict, evidence
        ):
            continue
        fix = evidence.fix(conflict.first, conflict.second)
        hint = evidence.fix_words(fix, "let the first user wait for the former tenant's last one")
        message = (
            f"{evidence.call(conflict.ops[1])} uses {evidence.buffer_name(conflict.buffer)} in "
            f"memory that {evidence.call(conflict.ops[0])} may still use as "
            f"{evidence.buffer_name(conflict.former)}"
        )
        yield evidence.pair(*RULE.head, conflict, hint, message=message)


def _stale(conflict: Conflict, evidence: Evidence) -> bool:
    """Whether a graph launch comes after the free of what it touches: SO204 tells that."""
    trace = evidence.trace
    for op, buffer in zip(conflict.ops, (conflict.former, conflict.buffer), strict=True):
        freed = int(trace.buffers.free[buffer])
        if trace.kind[op] == Kind.GRAPH_LAUNCH and 0 <= freed < op:
            return True
    return False


RULE = Rule("SO202", "foreign-first-use", "error", ("accesses", "sync", "memory"), check)
