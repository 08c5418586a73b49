"""Partial-order reduction: which steps of a state have to be tried, so that no outcome is lost.

Steps of different lines commute unless they touch one slot and one of them writes. A **stubborn
set** of lines holds, with a line that can step, every line that may still come into conflict with
it, and with a line that cannot, one that it waits for. Trying only its members keeps, of every
complete run, one that differs by swapping neighbours that commute (Valmari; Godefroid).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from streamsan.sim.machine.program import Action, Place, Program, actions
from streamsan.sim.machine.reach import hold
from streamsan.sim.machine.state import State, can_step, next_action

TOO_MANY = 20_000_000
"""Actions times lines beyond which the order that guards alone make is not kept."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """What each action of a program conflicts with, and what has to come before it."""

    program: Program

    @cached_property
    def conflicts(self) -> tuple[tuple[tuple[Place, ...], ...], ...]:
        """By line and index: actions of other lines that do not commute with this one.

        Those that can only run after it are left out: they wait for it anyway.
        """
        touchers: dict[int, list[tuple[Place, bool]]] = {}
        for place, action in actions(self.program):
            for slot, write in _slots(self.program, place, action).items():
                touchers.setdefault(slot, []).append((place, write))
        found: list[list[set[Place]]] = [[set() for _ in x.actions] for x in self.program.lines]
        for group in touchers.values():
            for i, (one, first) in enumerate(group):
                for other, second in group[i + 1 :]:
                    if one.line != other.line and (first or second):
                        found[one.line][one.turn].add(other)
                        found[other.line][other.turn].add(one)
        return tuple(
            tuple(
                tuple(sorted(p for p in mine if not self.precedes(Place(line, index), p)))
                for index, mine in enumerate(row)
            )
            for line, row in enumerate(found)
        )

    @cached_property
    def _reach(self) -> dict[Place, tuple[int, ...]]:
        """By action: how many actions of each line end before it starts, whatever the run."""
        none = (0,) * len(self.program.lines)
        found: dict[Place, tuple[int, ...]] = {}
        for place in hold(self.program, ()).order:  # what waits in a circle never runs
            action = self.program.lines[place.line].actions[place.turn]
            needed = [Place(line, count - 1) for line, count in action.guards]
            if place.turn:
                needed.append(Place(place.line, place.turn - 1))
            found[place] = _join(none, [(n, found[n]) for n in needed])
        return found

    def precedes(self, one: Place, other: Place) -> bool:
        """Whether guards alone put an action before another in every run.

        In programs of very many lines that is not looked into: more is tried then than has to be.
        """
        if self.program.size * len(self.program.lines) > TOO_MANY:
            return False
        reach = self._reach.get(other)
        return reach is None or reach[one.line] > one.turn


def _join(none: tuple[int, ...], needed: list[tuple[Place, tuple[int, ...]]]) -> tuple[int, ...]:
    found = list(none)
    for place, reach in needed:
        found = [max(a, b) for a, b in zip(found, reach, strict=True)]
        found[place.line] = max(found[place.line], place.turn + 1)
    return tuple(found)


def _slots(program: Program, place: Place, action: Action) -> dict[int, bool]:
    """Give the slots that an action may touch, and whether it may write them.

    Below zero stand the releases of reuses: an allocation looks whether they are over.
    """
    found: dict[int, bool] = {}
    for touch in action.touches:
        for slot in touch.slots:
            found[slot] = found.get(slot, False) or touch.write
            if touch.write:
                found.update(dict.fromkeys((peer for peer, _ in program.slots[slot].peers), True))
    for index in action.places:
        found[-1 - index] = found.get(-1 - index, False)
        for former, later in program.reuses[index].handed:
            found.setdefault(former, False)
            found[later] = True
    for index, reuse in enumerate(program.reuses):
        if (place.line, place.turn + 1) in reuse.release:
            found[-1 - index] = True
    return found


def stubborn(dependence: Dependence, state: State, lines: list[int]) -> list[int]:
    """Give the lines to try of those that can step: a smallest set that loses no outcome."""
    best = lines
    if len(lines) > 1:
        for line in lines:
            members = _closure(dependence, state, line, len(best))
            if members is not None:
                found = [other for other in lines if other in members]
                if len(found) < len(best):
                    best = found
                if len(best) == 1:
                    break
    return best


def _closure(dependence: Dependence, state: State, seed: int, limit: int) -> set[int] | None:
    """Close a line over conflicts and waits; None once it is no smaller than ``limit``."""
    program, progress = dependence.program, state.progress
    members, todo, steps = {seed}, [seed], 0
    while todo:
        line = todo.pop()
        index = progress[line] >> 1
        if index >= len(program.lines[line].actions):
            continue
        if can_step(program, state, line):
            steps += 1
            if steps >= limit:
                return None
            more = [
                other
                for other, place in dependence.conflicts[line][index]
                if progress[other] < 2 * place + 2
            ]
        else:
            more = _waited_for(program, state, line)
        for other in more:
            if other not in members:
                members.add(other)
                todo.append(other)
    return members


def _waited_for(program: Program, state: State, line: int) -> list[int]:
    """Give lines without whose steps a line that waits can never go on."""
    action = next_action(program, state, line)
    if action is None:
        return []
    for other, count in action.guards:
        if state.progress[other] < 2 * count:
            return [other]
    if action.want is None:
        return []
    address, value = action.want
    return [
        other
        for other, found in enumerate(program.lines)
        for store in (a.store for a in found.actions[state.progress[other] >> 1 :])
        if store is not None and store[0] == address and store[1] >= value
    ]
