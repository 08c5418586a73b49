"""Waits that wait for each other.

What it does:
    Finds cycles among value waits, host waits and stream waits. Cycles through an action that the
    same host would do later are SO602, cycles of collectives with host waits are SO603.

Why it is wrong:
    No schedule gets past them. Events recorded before they are waited for cannot make one (R6): it
    takes waits that may be met by something issued later (R45, R50).

Bad:
    a: wait_value x 1
    a: write_value y 1
    b: wait_value y 1
    b: write_value x 1

Good:
    a: write_value y 1
    a: wait_value x 1
    b: wait_value y 1
    b: write_value x 1

Fix:
    Let one of the lines write before it waits.

Limits:
    Only waits in the trace are seen: not the program's own locks.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.cycles import Cycle
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(cycles: list[Cycle], evidence: Evidence) -> Iterator[Finding]:
    """Report cycles of waits."""
    for cycle in cycles:
        is_ranks = cycle.has_collective and len(cycle.host_waits) > 0
        if is_ranks or cycle.host_action is not None or not cycle.waits:
            continue
        first, last = cycle.waits[0], cycle.waits[-1]
        message = f"{evidence.call(first)} and {evidence.call(last)} wait for each other"
        ops = (first, last) if first != last else (first,)
        yield evidence.make(
            *RULE.head, "deadlock", ops, message, "let one line write or signal before it waits"
        )


RULE = Rule("SO601", "wait-cycle", "error", ("sync",), check)
