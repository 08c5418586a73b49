"""Witnesses: two schedules that agree up to a race, and differ in what a reader gets.

Both runs first do what the two racing ops need, and nothing else; then one does the first op and
then the second, the other the second and then the first. A pair whose ops cannot both be next is
ordered, and has no witness: the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from streamsan.sim.machine import schedule
from streamsan.sim.machine.directed import Reach, hold, needed
from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.outcome import outcome_of
from streamsan.sim.machine.program import Program, Touch
from streamsan.sim.machine.reduce import Place, actions
from streamsan.sim.machine.schedule import run_on
from streamsan.sim.machine.state import State, initial, step
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics

MAX_PAIRS = 64
"""Pairs of actions of two ops that are tried: a captured graph may have many accesses."""


class Witness(NamedTuple):
    """Two runs that disagree (trace-format.md, ``witness``).

    ``got`` is the op whose value ``reader`` saw in each run; None is what was there before, and
    the free of a block stands for its memory being gone. Without a reader (two writes that nobody
    reads), ``got`` is what the memory holds at the end and ``reader`` None.
    """

    schedules: tuple[str, str]
    reader: int | None
    got: tuple[int | None, int | None]

    def to_json(self) -> dict[str, Any]:
        """Give the value of the key ``witness`` of a finding."""
        return {"schedules": list(self.schedules), "reader": self.reader, "got": list(self.got)}


class Verdict(NamedTuple):
    """What became of a confirmation: a witness, or the reason why there is none."""

    witness: Witness | None
    reason: str


def confirm(
    trace: Trace, ops: tuple[int, int], semantics: Semantics | None = None
) -> Witness | None:
    """Give a witness of a race between two ops; None where ``judge`` says why there is none."""
    return judge(trace, ops, semantics).witness


def judge(trace: Trace, ops: tuple[int, int], semantics: Semantics | None = None) -> Verdict:
    """Look for a witness of a race between two ops, a free among them or not.

    Only the memory that both touch is kept, and only the actions that they need are run.

    Raises:
        IndexError: an op that the trace has not.
    """
    for op in ops:
        if not 0 <= op < len(trace):
            raise IndexError(f"the trace has no op {op}")
    program = compile_trace(trace, semantics, watch=ops)
    pairs = list(_conflicting(program, ops))
    if not pairs:
        return Verdict(None, "the two ops have no conflicting accesses of memory")
    reasons = []
    for (one, mine), (other, theirs) in pairs[:MAX_PAIRS]:
        verdict = _try(program, (one, other), (mine, theirs))
        if verdict.witness is not None:
            return verdict
        reasons.append(verdict.reason)
    cut = "" if len(pairs) <= MAX_PAIRS else f"; {len(pairs) - MAX_PAIRS} more pairs not tried"
    return Verdict(None, reasons[0] + cut)


Found = tuple[Place, Touch]
Runs = tuple[list[int], list[int]]


def _conflicting(program: Program, ops: tuple[int, int]) -> Iterator[tuple[Found, Found]]:
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
        and _meet(program, one[1], other[1])
    ]
    yield from sorted(found, key=lambda f: (f[0][1].life, f[0][1].write == f[1][1].write))


def _meet(program: Program, one: Touch, other: Touch) -> list[tuple[int, int]]:
    """Give the slots, one of each access, that are the same bytes."""
    theirs = set(other.slots)
    return [
        (slot, peer)
        for slot in one.slots
        for peer in (slot, *(p for p, _ in program.slots[slot].peers))
        if peer in theirs
    ]


def _try(program: Program, places: tuple[Place, Place], touches: tuple[Touch, Touch]) -> Verdict:
    """Run two actions in both orders, after all that either needs; two tenants' after the reuse."""
    reach = hold(program, places)
    for place in places:
        if reach.counts[place.line] != place.turn or not _next(program, reach.counts, place):
            return Verdict(None, _why(program, places, touches))
    common = _prefix(program, reach, places, touches)
    runs = _both_orders(program, common, places)
    states = [_run(program, run) for run in runs]
    reader = next((t for t in reversed(touches) if not t.write), None)
    if reader is not None:
        slots = [reader.slots.index(s) for s in _shared(program, touches, reader)]
        looks = [[state.seen[reader.entry][k] for k in slots] for state in states]
        return _verdict(program, runs, reader.op, looks)
    found = _later(program, runs, states)
    if found is None:  # others overwrite it: let them come first
        late = _both_orders(program, list(reach.order), places)
        found = _later(program, late, [_run(program, run) for run in late])
    if found is not None:
        return found
    looks = [[state.memory[s] for s in _shared(program, touches, touches[0])] for state in states]
    return _verdict(program, runs, None, looks, "confirmed, though every run overwrites it unread")


def _both_orders(program: Program, common: list[Place], places: tuple[Place, Place]) -> Runs:
    """Give the steps of the two runs."""
    steps = [s for place in common for s in _steps(program, place)]
    first, last = (_steps(program, place) for place in places)
    return steps + first + last, steps + last + first


def _shared(program: Program, touches: tuple[Touch, Touch], mine: Touch) -> list[int]:
    """Give the slots of one access that the other touches too."""
    meeting = _meet(program, *touches)
    return list(dict.fromkeys(pair[0] if mine is touches[0] else pair[1] for pair in meeting))


def _next(program: Program, counts: Iterable[int], place: Place) -> bool:
    """Whether an action's guards are met where so many actions of each line have run."""
    done = list(counts)
    action = program.lines[place.line].actions[place.turn]
    return all(done[line] >= count for line, count in action.guards)


def _prefix(
    program: Program,
    reach: Reach,
    places: tuple[Place, Place],
    touches: tuple[Touch, Touch],
) -> list[Place]:
    """Give what both actions need, and the allocation that puts one block where the other lay."""
    buffers = [program.slots[t.slots[0]].buffer for t in touches]
    wanted = list(places)
    for reuse in program.reuses:
        if {reuse.former, reuse.later} == set(buffers):
            wanted += [Place(line, count - 1) for line, count in reuse.release]
            wanted += [p for p, a in actions(program) if program.reuses.index(reuse) in a.places]
    found = needed(program, reach, wanted)
    allowed = {*found, *(p for p in wanted if reach.has(p))}
    return [place for place in reach.order if place in allowed]


def _steps(program: Program, place: Place) -> list[int]:
    split = program.lines[place.line].actions[place.turn].split
    return [place.line] * (2 if split else 1)


def _run(program: Program, steps: list[int]) -> State:
    state = initial(program)
    for line in steps:
        state = step(program, state, line)
    return state


def _later(program: Program, runs: Runs, states: list[State]) -> Verdict | None:
    """Of two writes, let the rest run: who gets other values, or what stays, tells them apart."""
    ends = [run_on(program, state) for state in states]
    for entry, touch in sorted(enumerate(program.entries), key=lambda item: item[1].op):
        seen = [list(end.seen[entry]) for end in ends]
        if seen[0] != seen[1] and not touch.life and all(seen):
            return _verdict(program, runs, touch.op, seen)
    final = [[value for _, value in outcome_of(program, end).final] for end in ends]
    return None if final[0] == final[1] else _verdict(program, runs, None, final)


def _verdict(
    program: Program,
    runs: Runs,
    reader: int | None,
    looks: list[list[int]],
    reason: str = "confirmed",
) -> Verdict:
    """Give the first place where two looks differ."""
    for one, other in zip(*looks, strict=True):
        if one != other:
            got = (one if one >= 0 else None, other if other >= 0 else None)
            schedules = (schedule.write(program, runs[0]), schedule.write(program, runs[1]))
            return Verdict(Witness(schedules, reader, got), reason)
    return Verdict(None, "not reproduced: both orders give the reader the same values")


def _why(program: Program, places: tuple[Place, Place], touches: tuple[Touch, Touch]) -> str:
    """Say why two actions cannot both be next."""
    for k in (0, 1):
        one, other = places[k], places[1 - k]
        if hold(program, [one]).has(other):
            continue
        first, last = touches[k], touches[1 - k]
        if not hold(program, []).has(other):
            return f"not reproduced: op {last.op} never runs"
        if first.life and first.write and first.access < 0 and last.access >= 0:
            return f"in every schedule op {last.op} finds the memory that op {first.op} changed"
        return f"not reproduced: op {last.op} waits for op {first.op} in every schedule"
    return "not reproduced: the two ops never come next at the same time"
