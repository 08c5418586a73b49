"""The host waited for one copy while the next one into the same bytes was under way.

What it does:
    Finds a host read after a wait that covers copy k, where copy k+1 into the same bytes was issued
    before that wait and is not ordered with the read. Replaces SO111 on that pair.

Why it is wrong:
    Which of the two versions the host gets depends on how far copy k+1 is. A wrapper that
    synchronises lazily, at its first read, is the known shape.

Bad:
    malloc h pinned 64
    s: memcpy a -> h D2H
    s: record e
    s: memcpy b -> h D2H
    sync e
    host_read h

Good:
    malloc h pinned 128
    s: memcpy a -> h[0:64] D2H
    s: record e
    s: memcpy b -> h[64:128] D2H
    sync e
    host_read h[0:64]

Fix:
    Make the ring of destinations as deep as the greatest lead plus one, or copy the value out right
    after the synchronise, before the next copy is issued.

Limits:
    Where no earlier copy into the bytes was waited for, it is SO111.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.versions import Versions
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(conflicts: list[Conflict], versions: Versions, evidence: Evidence) -> Iterator[Finding]:
    """Report reads that may get either of two copies."""
    for conflict in conflicts:
        waited = versions.waited(conflict) if conflict.is_host_read else None
        if waited is None:
            continue
        hint = "deepen the ring of destinations by one, or copy the value out before the next copy"
        message = (
            f"{evidence.call(conflict.ops[1])} reads {evidence.buffer_name(conflict.buffer)} after "
            f"waiting for {evidence.call(waited)}, but {evidence.call(conflict.ops[0])} into the "
            "same bytes is already under way"
        )
        yield evidence.pair(*RULE.head, conflict, hint, message=message)


RULE = Rule("SO116", "ambiguous-version", "error", ("accesses", "host", "sync"), check)
