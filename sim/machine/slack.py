"""What a wait is good for: what could come earlier if the program did without it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.program import Action, Line, Place, Program, actions
from streamsan.sim.machine.reach import hold
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics


class Allowed(NamedTuple):
    """Without the wait, ``op`` on ``line`` could start before ``before`` on ``other`` has ended.

    It is the first of its line that could, of those that touch memory. ``conflicts``: one that
    could would race with it.
    """

    op: int
    line: str
    before: int
    other: str
    conflicts: bool


def allowed_without(trace: Trace, wait: int, semantics: Semantics | None = None) -> list[Allowed]:
    """Say what removing a wait would allow; nothing where what it waits for is over anyway.

    Raises:
        IndexError: an op that the trace has not.
    """
    if not 0 <= wait < len(trace):
        raise IndexError(f"the trace has no op {wait}")
    program = compile_trace(trace, semantics)
    mine = [place for place, action in actions(program) if action.op == wait]
    without = _without(program, set(mine))
    found: list[Allowed] = []
    for place in mine:
        for line, count in program.lines[place.line].actions[place.turn].guards:
            found += _freed(program, without, Place(line, count - 1), wait)
    return found


def _without(program: Program, places: set[Place]) -> Program:
    """Give the program in which some actions wait for nothing."""
    lines = tuple(
        Line(
            label,
            kind,
            tuple(
                action._replace(guards=(), want=None) if Place(index, turn) in places else action
                for turn, action in enumerate(mine)
            ),
        )
        for index, (label, kind, mine) in enumerate(program.lines)
    )
    return replace(program, lines=lines)


def _freed(program: Program, without: Program, held: Place, wait: int) -> list[Allowed]:
    """Give, line by line, the first op that no longer comes after an action that is held back."""
    before, after = hold(program, [held]), hold(without, [held])
    late = program.lines[held.line].actions[held.turn]
    found = []
    for line, (label, _, mine) in enumerate(program.lines):
        more = mine[before.counts[line] : after.counts[line]]
        gained = [action for action in more if action.op != wait and action.touches]
        if gained:
            races = any(_conflict(program, action, late) for action in gained)
            other = program.lines[held.line].label
            found.append(Allowed(gained[0].op, label, late.op, other, races))
    return found


def _conflict(program: Program, one: Action, other: Action) -> bool:
    """Whether two actions touch the same bytes, or a life, and one of them writes."""
    writes: dict[int, bool] = {}
    for touch in one.touches:
        for slot in touch.slots:
            for same in (slot, *(peer for peer, _ in program.slots[slot].peers)):
                writes[same] = writes.get(same, False) or touch.write
    return any(
        slot in writes and (writes[slot] or touch.write)
        for touch in other.touches
        for slot in touch.slots
    )
