"""The host writes memory that device work may still be writing.

What it does:
    Finds a write by host code of bytes that an asynchronous op writes, such as the destination of
    a download, where neither comes before the other.

Why it is wrong:
    Whether the host's value or the copy's survives depends on when the copy lands (R23).

Bad:
    malloc h pinned 64
    s: memcpy a -> h D2H
    host_write h

Good:
    malloc h pinned 64
    s: memcpy a -> h D2H
    s: record e
    sync e
    host_read h
    host_write h

Fix:
    Record an event after the copy and synchronise with it before the write.

Limits:
    Clearing a buffer before the copy is issued is ordered and fine.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(conflicts: list[Conflict], evidence: Evidence) -> Iterator[Finding]:
    """Report host writes under a pending write."""
    for conflict in conflicts:
        if conflict.is_host_write and conflict.kind == "WAW":
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(
                fix, "hand the host's write over to the copy: signal after it, await before it"
            )
            yield evidence.pair(*RULE.head, conflict, hint)


RULE = Rule("SO113", "host-write-under-copy", "error", ("accesses", "host", "sync"), check)
