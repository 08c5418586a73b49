"""Host memory is freed, recycled or unregistered while device work may still use it.

What it does:
    At the free or `host_unregister` of host memory, finds the last access on every stream that is
    not before it and that the allocator does not guard.

Why it is wrong:
    Freeing host memory waits for nothing. The caching host allocator guards only the streams on
    which torch itself issued a non_blocking copy of the block (R38): not a kernel on mapped memory,
    not another library's copy, not a host function.

Bad:
    malloc h pinned 64
    s: memcpy h -> a H2D
    free h

Good:
    malloc h pinned 64
    s: memcpy h -> a H2D
    s: record e
    sync e
    free h

Fix:
    Keep the memory alive until an event recorded after its last use is over.

Limits:
    Pageable memory counts only where a copy reads it in stream order (R46) or a kernel uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.lifetimes import Lifetimes
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(lifetimes: Lifetimes, evidence: Evidence) -> Iterator[Finding]:
    """Report ends of host memory under work in flight."""
    order = evidence.order
    for flight in lifetimes.host_in_flight:
        access, free = int(order.placed.op[flight.access]), flight.free
        node = int(order.placed.node[flight.access])
        buffer = evidence.buffer_name(flight.buffer)
        fix = evidence.edge(access, node, free, int(order.graph.op_node[free]))
        hint = evidence.fix_words(fix, "keep the memory alive until its last use is over")
        message = (
            f"{evidence.call(free)} ends {buffer} while {evidence.call(access)} on "
            f"{evidence.line(access, node)} may still use it"
        )
        yield evidence.make(
            *RULE.head, "use-after-free", (access, free), message, hint,
            fix=fix, buffer=buffer, details=evidence.missing((access, free)),
        )  # fmt: skip


RULE = Rule("SO203", "staging-freed-in-flight", "error", ("accesses", "sync", "memory"), check)
