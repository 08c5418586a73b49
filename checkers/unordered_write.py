"""Two pieces of device work write the same bytes in no order.

What it does:
    Finds two writes of common bytes on two device lines, where neither comes before the other.
    Where a read stands between the same two ops, that is told instead (SO101, SO102).

Why it is wrong:
    Which value survives depends on the schedule.

Bad:
    s1: launch tail_stash w=row[0:64]
    s2: launch seed w=row[0:64]

Good:
    s1: launch tail_stash w=row[0:64]
    s1: record e
    s2: wait e
    s2: launch seed w=row[0:64]

Fix:
    Order the two with an event, or let each write a part of its own.

Limits:
    Writes of equal values are reported: a trace does not hold values.
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
    """Report unordered writes between streams."""
    for conflict in conflicts:
        if conflict.on_device and conflict.kind == "WAW":
            fix = evidence.fix(conflict.first, conflict.second)
            hint = evidence.fix_words(fix, "let the second writer's stream wait for the first")
            yield evidence.pair(*RULE.head, conflict, hint)
    for race in graph_races:
        if race.kind == "WAW":
            yield evidence.in_graph(*RULE.head, race)


RULE = Rule("SO103", "unordered-write", "error", ("accesses", "sync"), check)
