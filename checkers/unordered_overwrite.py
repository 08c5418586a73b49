"""Device work overwrites what other device work may still be reading.

What it does:
    Finds an earlier read and a later write of common bytes on two device lines, where neither
    comes before the other. The read that is named is the last one on its stream.

Why it is wrong:
    People remember the edge from producer to consumer and forget the one from the consumer to the
    next producer. The reader then sees bytes of the next step: a recycled row, a shared staging
    table, a buffer of a ring that is too short.

Bad:
    s1: launch produce w=a
    s1: record e
    s2: wait e
    s2: launch consume r=a
    s1: launch produce w=a

Good:
    s1: launch produce w=a
    s1: record e
    s2: wait e
    s2: launch consume r=a
    s2: record done
    s1: wait done
    s1: launch produce w=a

Fix:
    Record a read-done event right after the LAST read and let the writer's stream wait for it, or
    give each step a buffer of its own.

Limits:
    Writing equal bytes again is reported too, unless the `digest` of both copies shows that they
    are equal. Rebinding a name to a new tensor is no write.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.graph_races import GraphRace
from streamsan.checkers.facts.versions import Versions
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(
    conflicts: list[Conflict],
    graph_races: list[GraphRace],
    versions: Versions,
    evidence: Evidence,
) -> Iterator[Finding]:
    """Report overwrites of what is still being read, between streams."""
    for conflict in conflicts:
        if conflict.on_device and conflict.kind == "WAR" and not versions.same_bytes(conflict):
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(fix, "let the writer's stream wait for the last read")
            yield evidence.pair(*RULE.head, conflict, hint)
    for race in graph_races:
        if race.kind == "WAR":
            yield evidence.in_graph(*RULE.head, race)


RULE = Rule("SO102", "unordered-overwrite", "error", ("accesses", "sync"), check)
