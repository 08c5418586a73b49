"""Device work reads what other device work may still be writing.

What it does:
    Finds an earlier write and a later read of common bytes on two device lines (streams), where
    neither comes before the other. The buffer may be device memory or pinned host memory in which
    two copies meet.

Why it is wrong:
    Work on different streams is unordered unless something orders it (R1): an event, a host wait,
    the legacy default stream. The read may then see the old bytes, the new ones, or some of each.

Bad:
    s1: launch produce w=a
    s2: launch consume r=a

Good:
    s1: launch produce w=a
    s1: record e
    s2: wait e
    s2: launch consume r=a

Fix:
    Record an event right after the write and let the reader's stream wait for it right before the
    read. That is narrower than a stream or device synchronise, which also hold the host.

Limits:
    Two parts of one buffer do not conflict; a view or a rebound name is no access (R43, R53).
    Kernels launched with programmatic dependent launch may overlap their predecessor in one
    stream; a trace does not say so, and the order is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.graph_races import GraphRace
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(
    conflicts: list[Conflict], graph_races: list[GraphRace], evidence: Evidence
) -> Iterator[Finding]:
    """Report reads of unfinished writes between streams."""
    for conflict in conflicts:
        if conflict.on_device and conflict.kind == "RAW":
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(fix, "let the reader's stream wait for the write")
            yield evidence.pair(*RULE.head, conflict, hint)
    for race in graph_races:
        if race.kind == "RAW":
            yield evidence.in_graph(*RULE.head, race)


RULE = Rule("SO101", "unordered-read", "error", ("accesses", "sync"), check)
