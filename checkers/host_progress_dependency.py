"""The host waits for stream work that needs something the host would do later.

What it does:
    Finds host waits on a stream that cannot go on before a later action of the same host: a value
    that it stores, a token that it signals, work that it issues.

Why it is wrong:
    The host never gets to the action.

Bad:
    s: wait_value x 1
    stream_sync s
    store x 1

Good:
    s: wait_value x 1
    store x 1
    stream_sync s

Fix:
    Do the action before the wait, or on another thread.

Limits:
    Locks of the program are not in the trace.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.cycles import Cycle
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(cycles: list[Cycle], evidence: Evidence) -> Iterator[Finding]:
    """Report hosts that wait for themselves."""
    for cycle in cycles:
        found = cycle.host_action
        if found is None or (cycle.has_collective and cycle.host_waits):
            continue
        wait, action = found
        message = f"{evidence.call(wait)} can return only after {evidence.call(action)}"
        yield evidence.make(
            *RULE.head, "deadlock", tuple(sorted(found)), message,
            f"do op {action} before op {wait}, or on another thread",
        )  # fmt: skip


RULE = Rule("SO602", "host-progress-dependency", "error", ("sync", "host"), check)
