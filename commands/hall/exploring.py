"""What ``streamsan explore`` prints of an exploration, in text and in JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from streamsan.sim.machine import Exploration, Outcome, Program
    from streamsan.sim.machine.explore import Found

MOST = 20
"""Outcomes, and lines of one outcome, that the text shows; JSON has them all."""


class Shown(NamedTuple):
    """What was asked for: the trace, how it was explored, and what was kept."""

    path: str
    mode: str
    bound: int | None
    watched: tuple[int, ...] | None


def as_text(found: Exploration, shown: Shown) -> str:
    """Give a block for each outcome: how often it came, a schedule, and what is special to it."""
    from streamsan.checkers.reports.console import visible

    lines = [f"{shown.path}: {_summary(found, shown)}", *_notes(found, shown)]
    special = _special(found)
    for turn, each in enumerate(found.found[:MOST]):
        share = each.times / found.schedules
        times = _count(each.times, "schedule")
        lines += ["", f"{turn + 1}. {share:.1%} ({times})  {each.schedule}"]
        told = special[turn]
        lines += [f"   {line}" for line in told[:MOST]]
        if len(told) > MOST:
            lines.append(f"   and {len(told) - MOST} more differences (--format json has them all)")
    if len(found.found) > MOST:
        lines += ["", f"and {len(found.found) - MOST} more outcomes (--format json has them all)"]
    return "".join(f"{visible(line, 100_000)}\n" for line in lines)


def as_json(found: Exploration, shown: Shown) -> str:
    """Give everything as one JSON object."""
    from streamsan.checkers.reports.machine import as_json as printed

    return printed({
        "version": 1, "path": shown.path, "mode": shown.mode, "complete": found.complete,
        "max_states": shown.bound, "states": found.states, "schedules": found.schedules,
        "conflicting": _conflicts(found), "watched": shown.watched,
        "outcomes": [_outcome(found.program, each, found.schedules) for each in found.found],
    })  # fmt: skip


def _conflicts(found: Exploration) -> bool:
    """Whether any two accesses of different lines conflict at all."""
    from streamsan.sim.machine.pairs import Conflicts

    return any(
        not (pair.mine.life or pair.theirs.life)
        for pairs in Conflicts(found.program).of.values()
        for pair in pairs
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _summary(found: Exploration, shown: Shown) -> str:
    outcomes = _count(len(found.found), "outcome")
    tried = _count(found.schedules, "schedule")
    states = _count(found.states, "state")
    if shown.bound is None:
        return f"{outcomes} in {tried} ({shown.mode}; {states}). Others may exist."
    if not found.complete:
        return (
            f"{outcomes} in {tried} ({shown.mode}). The bound of {_count(shown.bound, 'state')} "
            "was hit: others may exist (--max-states)."
        )
    return f"{outcomes} in all schedules ({shown.mode}: {tried} tried, {states})."


def _notes(found: Exploration, shown: Shown) -> Iterator[str]:
    if shown.watched is not None:
        kept = f"of the {_count(len(shown.watched), 'op')} that findings name or --watch does"
        yield f"Only the memory {kept} was kept."
    if not _conflicts(found):
        yield "No two ops on different lines conflict: every schedule gives the same values."


def _special(found: Exploration) -> list[list[str]]:
    """Say of each outcome what not all of them have."""
    told = [_facts(found.program, each.outcome) for each in found.found]
    common = Counter(fact for facts in told for fact in dict.fromkeys(facts))
    hangs = [_hangs(found.program, each.outcome) for each in found.found]
    return [
        [fact for fact in facts if common[fact] < len(told)] + hang
        for facts, hang in zip(told, hangs, strict=True)
    ]


def _hangs(program: Program, outcome: Outcome) -> list[str]:
    """Say who waits for ever: the circles, or where there is none each line that does."""
    from streamsan.sim.machine.stuck import circles, in_a_circle, in_vain

    waits = [line for circle in circles(outcome.stuck) for line in in_a_circle(program, circle)]
    return [f"stuck: {line}" for line in waits or in_vain(program, outcome.stuck)]


def _facts(program: Program, outcome: Outcome) -> list[str]:
    """Say what each read got, and what memory holds in the end."""
    from streamsan.sim.machine.outcome import buffer_of, got_words, in_words, sights

    facts = [f"op {s.op} reads {s.buffer}: {got_words(program, s.got)}"
             for s in sights(program, outcome)]  # fmt: skip
    ends = [
        f"in the end {buffer_of(program, slot)} holds {in_words(program, value)}"
        for slot, value in outcome.final
        if program.slots[slot].pieces
    ]
    return facts + list(dict.fromkeys(ends))


def _outcome(program: Program, each: Found, total: int) -> dict[str, Any]:
    from streamsan.sim.machine.outcome import buffer_of, in_words, sights
    from streamsan.sim.machine.stuck import circles

    outcome = each.outcome
    return {
        "times": each.times, "share": each.times / total, "schedule": each.schedule,
        "reads": [
            {"op": s.op, "access": s.access, "buffer": s.buffer, "got": _each(program, s.got)}
            for s in sights(program, outcome)
        ],
        "final": [
            {"buffer": buffer_of(program, slot), "ranges": program.slots[slot].pieces,
             "holds": in_words(program, value)}
            for slot, value in outcome.final if program.slots[slot].pieces
        ],
        "stuck": [{"op": s.op, "line": program.lines[s.line].label} for s in outcome.stuck],
        "circles": [[s.op for s in circle] for circle in circles(outcome.stuck)],
    }  # fmt: skip


def _each(program: Program, values: tuple[int, ...]) -> list[str]:
    from streamsan.sim.machine.outcome import in_words

    return [in_words(program, value) for value in values]
