"""Two actions in both orders: runs that agree up to them, and then differ.

Both runs first do what the two need, and nothing else; then one does the first and then the
second, the other the second and then the first. Two actions that cannot both be next are ordered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamsan.sim.machine.outcome import FREES, outcome_of
from streamsan.sim.machine.program import Place, Program, Touch, actions
from streamsan.sim.machine.reach import Reach, hold, needed, run, stages, steps_of
from streamsan.sim.machine.schedule import run_on
from streamsan.sim.machine.state import State
from streamsan.traces.ops import Kind

Found = tuple[Place, Touch]
Pair = tuple[Found, Found]
Runs = tuple[list[int], list[int]]
Counts = list[tuple[int, ...]]
ENDS = (*FREES, Kind.HOST_UNREGISTER)
NO_RUNS: Runs = ([], [])


class Duel(NamedTuple):
    """What came of it: runs with a common beginning, who got what in each, or why there are none.

    ``got`` is None where the pair is not confirmed, or where every schedule has the same.
    """

    confirmed: bool
    reason: str
    ahead: Counts
    runs: Runs = NO_RUNS
    reader: int | None = None
    got: tuple[int, int] | None = None


def conflicting(
    program: Program, ops: tuple[int, int], nodes: tuple[int, ...] | None = None
) -> Iterator[Pair]:
    """Give the conflicting accesses of two ops: bytes before lives, reads before writes."""
    mine: dict[int, list[Found]] = {op: [] for op in ops}
    for place, action in actions(program):
        if action.op in mine:
            mine[action.op] += [(place, touch) for touch in action.touches]
    found = [
        (one, other)
        for one in mine[ops[0]]
        for other in mine[ops[1]]
        if one[0] != other[0]
        and (one[1].write or other[1].write)
        and (nodes is None or _nodes(program, one[0], other[0]) == nodes)
        and _meet(program, one[1], other[1])
    ]
    yield from sorted(found, key=lambda f: (f[0][1].life, f[0][1].write == f[1][1].write))


def _nodes(program: Program, *places: Place) -> tuple[int, ...]:
    """Give the nodes of launches that actions stand for; -1 for what is none."""
    writers = (program.lines[place.line].actions[place.turn].writer for place in places)
    nodes = (program.writer_of(writer)[1] for writer in writers)
    return tuple(-1 if node is None else node for node in nodes)


def _meet(program: Program, one: Touch, other: Touch) -> list[tuple[int, int]]:
    """Give the slots, one of each access, that are the same bytes."""
    theirs = set(other.slots)
    return [
        (slot, peer)
        for slot in one.slots
        for peer in (slot, *(p for p, _ in program.slots[slot].peers))
        if peer in theirs
    ]


def fight(program: Program, pair: Pair) -> Duel:
    """Run two actions in both orders, after all that either needs; two tenants' after the reuse."""
    places, touches = (pair[0][0], pair[1][0]), (pair[0][1], pair[1][1])
    reach = hold(program, places)
    for place in places:
        if reach.counts[place.line] != place.turn or not _next(program, reach.counts, place):
            return _ordered(program, places, touches)
    first, last = (steps_of(program, [place]) for place in places)
    runs = (first + last, last + first)
    ahead = _ahead(program, reach, places, touches)
    states = _states(program, ahead, runs)
    reader = next((t for t in reversed(touches) if not t.write), None)
    if reader is not None:
        slots = [reader.slots.index(s) for s in _shared(program, touches, reader)]
        looks = [[state.seen[reader.entry][k] for k in slots] for state in states]
        return _differ(Duel(True, "confirmed", ahead, runs, reader.op), looks)
    return _of_two_writes(program, reach, touches, Duel(True, "confirmed", ahead, runs), states)


def _of_two_writes(
    program: Program, reach: Reach, touches: tuple[Touch, Touch], duel: Duel, states: list[State]
) -> Duel:
    """Find who can tell two writes apart; where others overwrite them, let those come first."""
    late = duel._replace(ahead=[reach.counts])
    for each in (duel, late):
        ends = states if each is duel else _states(program, late.ahead, late.runs)
        found = _later(program, each, ends)
        if found is not None:
            return found
    looks = [[state.memory[s] for s in _shared(program, touches, touches[0])] for state in states]
    return _differ(duel._replace(reason="confirmed, though every run overwrites it unread"), looks)


def _states(program: Program, ahead: Counts, runs: Runs) -> list[State]:
    before = steps_of(program, stages(program, ahead))
    return [run(program, before + steps) for steps in runs]


def _shared(program: Program, touches: tuple[Touch, Touch], mine: Touch) -> list[int]:
    """Give the slots of one access that the other touches too."""
    meeting = _meet(program, *touches)
    return list(dict.fromkeys(pair[0] if mine is touches[0] else pair[1] for pair in meeting))


def _next(program: Program, counts: Iterable[int], place: Place) -> bool:
    """Whether an action's guards are met where so many actions of each line have run."""
    done = list(counts)
    action = program.lines[place.line].actions[place.turn]
    return all(done[line] >= count for line, count in action.guards)


def _ahead(
    program: Program, reach: Reach, places: tuple[Place, Place], touches: tuple[Touch, Touch]
) -> Counts:
    """Give what both actions need; then the allocation that puts one block where the other lay."""
    buffers = {program.slots[t.slots[0]].buffer for t in touches}
    release: list[Place] = []
    births: list[Place] = []
    for index, reuse in enumerate(program.reuses):
        if {reuse.former, reuse.later} == buffers:
            release += [Place(line, count - 1) for line, count in reuse.release]
            births += [place for place, action in actions(program) if index in action.places]
    kept = [place for place in (*release, *births) if reach.has(place)]
    early = _counts(program, reach, [*release, *places], release)
    if not births:
        return [early]
    late = _counts(program, reach, [*kept, *places], kept)
    return [_counts(program, reach, release, release), late]


def _counts(
    program: Program, reach: Reach, wanted: Iterable[Place], themselves: Iterable[Place]
) -> tuple[int, ...]:
    """Count, line by line, what some actions need, and of those the ones to be run as well."""
    found = [0] * len(program.lines)
    own = [place for place in themselves if reach.has(place)]
    for place in (*needed(program, reach, list(wanted)), *own):
        found[place.line] = max(found[place.line], place.turn + 1)
    return tuple(found)


def _later(program: Program, duel: Duel, states: list[State]) -> Duel | None:
    """Of two writes, let the rest run: who gets other values, or what stays, tells them apart."""
    ends = [run_on(program, state) for state in states]
    for entry, touch in sorted(enumerate(program.entries), key=lambda item: item[1].op):
        seen = [list(end.seen[entry]) for end in ends]
        if seen[0] != seen[1] and not touch.life and all(seen):
            return _differ(duel._replace(reader=touch.op), seen)
    final = [[value for _, value in outcome_of(program, end).final] for end in ends]
    return None if final[0] == final[1] else _differ(duel, final)


def _differ(duel: Duel, looks: list[list[int]]) -> Duel:
    """Name the first place where two looks differ."""
    for one, other in zip(*looks, strict=True):
        if one != other:
            return duel._replace(got=(one, other))
    return Duel(False, "not reproduced: both orders give the reader the same values", [])


def _ordered(program: Program, places: tuple[Place, Place], touches: tuple[Touch, Touch]) -> Duel:
    """Say why two actions cannot both be next."""
    for k in (0, 1):
        one, other = places[k], places[1 - k]
        if hold(program, [one]).has(other):
            continue
        first, last = touches[k], touches[1 - k]
        if not hold(program, []).has(other):
            return Duel(False, f"not reproduced: op {last.op} never runs", [])
        gone = program.trace.kind[first.op] in ENDS
        if gone and first.life and first.write and first.access < 0:
            again = last.write and last.access < 0
            what = "frees again what" if again else "finds the memory that"
            words = f"op {last.op} {what} op {first.op} {'freed' if again else 'changed'}"
            return Duel(True, f"confirmed: in every schedule {words}", [])
        reason = f"op {last.op} waits for op {first.op} in every schedule"
        return Duel(False, f"not reproduced: {reason}", [])
    return Duel(False, "not reproduced: the two ops never come next at the same time", [])
