"""Two host threads touch the same bytes in no order.

What it does:
    Finds two accesses by host code on two threads, one of them a write, where neither comes before
    the other. The host half of a copy counts as host code: a pageable source read at the call.

Why it is wrong:
    A synchronise orders only the thread that makes it (R44). Threads are ordered by start, join and
    a hand-over that the trace shows (R50).

Bad:
    malloc p pageable 64
    T1: host_write p
    T2: host_read p

Good:
    malloc p pageable 64
    T1: host_write p
    T1: signal k
    T2: await k
    T2: host_read p

Fix:
    Hand over by a queue or a lock that the trace shows (`signal`, `await`), or give each thread a
    buffer of its own.

Limits:
    A warning: the program's own locks are as a rule not in the trace.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(conflicts: list[Conflict], evidence: Evidence) -> Iterator[Finding]:
    """Report unordered accesses of two threads."""
    for conflict in conflicts:
        if conflict.sides == ("host", "host") and not conflict.changes_tenant:
            hint = (
                f"let {evidence.line(conflict.ops[0])} signal after op {conflict.ops[0]} and "
                f"{evidence.line(conflict.ops[1])} await it before op {conflict.ops[1]}"
            )
            yield evidence.pair(*RULE.head, conflict, hint)


RULE = Rule("SO114", "host-host", "warning", ("host", "sync"), check)
