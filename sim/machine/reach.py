"""How far a program comes where some actions are held back; nothing else is chosen.

Nothing is disabled once it is enabled, so holding back is exact: an action that does not come
while another is held waits for it in every run. No search is needed, whatever the trace's size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from streamsan.sim.machine.program import Action, Place, Program
from streamsan.sim.machine.state import State, initial, step


class Reach(NamedTuple):
    """How far each line comes, and the actions in an order in which they can run."""

    counts: tuple[int, ...]
    order: tuple[Place, ...]

    def has(self, place: Place) -> bool:
        """Whether an action is among those that come."""
        return self.counts[place.line] > place.turn


class Held:
    """A run by whole actions that leaves some out; lines are woken when what they need is there.

    The order is the same on any machine: schedules are written in terms of it.
    """

    def __init__(self, program: Program, held: Collection[Place]) -> None:
        """Start with nothing run."""
        self.program, self.held = program, frozenset(held)
        self.counts = [0] * len(program.lines)
        self.values = [0] * len(program.addresses)
        self.order: list[Place] = []
        self.ready = list(range(len(program.lines)))[::-1]
        self.asleep: dict[int, list[int]] = {}
        self.asleep_on: dict[int, list[int]] = {}

    def run(self) -> Reach:
        """Run until nothing can go on."""
        while self.ready:
            self._advance(self.ready.pop())
        return Reach(tuple(self.counts), tuple(self.order))

    def _advance(self, line: int) -> None:
        actions = self.program.lines[line].actions
        while self.counts[line] < len(actions):
            place = Place(line, self.counts[line])
            if place in self.held or not self._may_run(line, actions[place.turn]):
                return
            self.order.append(place)
            self.counts[line] += 1
            self._store(actions[place.turn])
            self.ready.extend(self.asleep.pop(line, ()))

    def _may_run(self, line: int, action: Action) -> bool:
        for other, count in action.guards:
            if self.counts[other] < count:
                self.asleep.setdefault(other, []).append(line)
                return False
        if action.want is not None and self.values[action.want[0]] < action.want[1]:
            self.asleep_on.setdefault(action.want[0], []).append(line)
            return False
        return True

    def _store(self, action: Action) -> None:
        if action.store is not None:
            address, value = action.store
            self.values[address] = max(self.values[address], value)
            self.ready.extend(self.asleep_on.pop(address, ()))


def hold(program: Program, held: Collection[Place]) -> Reach:
    """Run all that can run while some actions are held back, and with them all that needs them."""
    return Held(program, held).run()


def up_to(program: Program, counts: Iterable[int]) -> Reach:
    """Run so many actions of each line, as far as they can come, in the order of ``hold``."""
    return hold(program, [Place(line, count) for line, count in enumerate(counts)])


def stages(program: Program, counts: Iterable[tuple[int, ...]]) -> list[Place]:
    """Give the actions of a run that goes up to one place of each line after the other."""
    found: list[Place] = []
    done = (0,) * len(program.lines)
    for each in counts:
        reach = up_to(program, map(max, done, each))
        found += [place for place in reach.order if place.turn >= done[place.line]]
        done = reach.counts
    return found


def steps_of(program: Program, places: Iterable[Place]) -> list[int]:
    """Give the steps of whole actions."""
    return [
        place.line
        for place in places
        for _ in range(2 if program.lines[place.line].actions[place.turn].split else 1)
    ]


def run(program: Program, steps: Iterable[int]) -> State:
    """Take steps from the beginning, all of which can be taken."""
    state = initial(program)
    for line in steps:
        state = step(program, state, line)
    return state


def end_of(program: Program) -> State:
    """Give how far every run comes, without what its memory holds."""
    whole = Held(program, ())
    reach = whole.run()
    progress = tuple(2 * count for count in reach.counts)
    return initial(program)._replace(progress=progress, values=tuple(whole.values))


def needed(program: Program, reach: Reach, wanted: Collection[Place]) -> list[Place]:
    """Give the part of a run that some actions need to come about, in the run's order.

    ``wanted`` themselves are left out; they have to be able to run at the end of the run.
    """
    stores: dict[int, list[tuple[int, Place]]] = {}
    for place in reach.order:
        store = program.lines[place.line].actions[place.turn].store
        if store is not None:
            stores.setdefault(store[0], []).append((store[1], place))
    counts = [0] * len(program.lines)
    todo = [place for w in wanted for place in _before(program, w, stores)]
    while todo:
        place = todo.pop()
        for index in range(counts[place.line], place.turn + 1):
            todo.extend(_before(program, Place(place.line, index), stores))
        counts[place.line] = max(counts[place.line], place.turn + 1)
    return [place for place in reach.order if place.turn < counts[place.line]]


def _before(
    program: Program, place: Place, stores: dict[int, list[tuple[int, Place]]]
) -> list[Place]:
    """Give the actions that this one waits for at once: of a value, the first that meets it."""
    action = program.lines[place.line].actions[place.turn]
    found = [Place(line, count - 1) for line, count in action.guards]
    if place.turn:
        found.append(Place(place.line, place.turn - 1))
    if action.want is not None:
        address, value = action.want
        found += [p for written, p in stores.get(address, ()) if written >= value][:1]
    return found
