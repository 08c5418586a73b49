"""The host reads memory that device work may still be writing.

What it does:
    Finds a read by host code, on any thread, of bytes that a copy, a kernel or a host function
    writes, where neither comes before the other. Where the host read one copy while the next one
    into the same bytes was already under way, it is SO116.

Why it is wrong:
    A non_blocking download returns before its bytes have arrived (R23, R40). Only a wait that
    covers the copy orders the host after it: a synchronise of an event recorded after the copy, of
    its stream, or of its device. It must be made by the thread that reads (R44).

Bad:
    malloc h pinned 64
    s: memcpy a -> h D2H
    host_read h

Good:
    malloc h pinned 64
    s: memcpy a -> h D2H
    s: record e
    sync e
    host_read h

Fix:
    Record an event right after the copy and synchronise with it right before the read.

Limits:
    Taking a view, a slice or `unbind` is no read. Memory that left torch's sight is followed only
    as a `host_escape`; findings that rest on one are `possible`.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.versions import Versions
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(conflicts: list[Conflict], versions: Versions, evidence: Evidence) -> Iterator[Finding]:
    """Report host reads that come too early."""
    for conflict in conflicts:
        if not conflict.is_host_read or versions.waited(conflict) is not None:
            continue
        fix = evidence.fix(conflict.first, conflict.second)
        hint = evidence.fix_words(
            fix, "hand the host's read over to the writer: signal after it, await before the write"
        )
        yield evidence.pair(*RULE.head, conflict, hint)


RULE = Rule("SO111", "early-host-read", "error", ("accesses", "host", "sync"), check)
