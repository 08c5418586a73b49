"""The host overwrites a staging buffer that device work may still be reading.

What it does:
    Finds a write by host code of bytes that an asynchronous upload, a kernel that reads host
    memory or a graph launch reads, where neither comes before the other.

Why it is wrong:
    An upload from pinned memory reads its source when it runs, not when it is issued (R23). A
    host that fills the buffer for the next step meanwhile changes what this step uploads. This is
    the most frequent class of bug in the field.

Bad:
    malloc h pinned 64
    host_write h
    s: memcpy h -> a H2D
    host_write h

Good:
    malloc h pinned 64
    host_write h
    s: memcpy h -> a H2D
    s: record e
    sync e
    host_write h

Fix:
    Record an event after the upload and synchronise with it before the next write; better, a ring
    of buffers each with its event, or a fresh pinned buffer a step, which the caching host
    allocator guards (R38).

Limits:
    A pageable source is read at the call (R22) and may be written at once. Dropping a pinned
    temporary under its upload is no write.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(conflicts: list[Conflict], evidence: Evidence) -> Iterator[Finding]:
    """Report host writes under a pending read."""
    for conflict in conflicts:
        if conflict.is_host_write and conflict.kind != "WAW":
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(
                fix, "hand the host's write over to the reader: signal after it, await before it"
            )
            yield evidence.pair(*RULE.head, conflict, hint)


RULE = Rule("SO112", "staging-overwrite", "error", ("accesses", "host", "sync"), check)
