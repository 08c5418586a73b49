"""Conflicting accesses, and in which orders a run has seen them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from streamsan.sim.machine.program import Place, Program, Touch, actions
from streamsan.sim.machine.state import SHARED, State


class Order(NamedTuple):
    """Two conflicting accesses as a run has seen them.

    ``first`` had begun when ``second`` began, and had ended too unless ``overlap``.
    """

    first: Touch
    second: Touch
    overlap: bool


class Pair(NamedTuple):
    """Two accesses that conflict, of actions of different lines; reuse -1: whatever the run."""

    place: Place
    mine: Touch
    theirs: Touch
    reuse: int


@dataclass(frozen=True, eq=False)
class Conflicts:
    """The conflicting accesses of a program."""

    program: Program

    @cached_property
    def of(self) -> dict[Place, tuple[Pair, ...]]:
        """By action: its accesses that conflict with one of another line."""
        by_slot: dict[int, list[tuple[Place, Touch]]] = {}
        for place, action in actions(self.program):
            for touch in action.touches:
                for slot in touch.slots:
                    by_slot.setdefault(slot, []).append((place, touch))
        found: dict[Place, dict[Pair, None]] = {}
        for slot, mine in by_slot.items():
            peers = ((slot, -1), *self.program.slots[slot].peers)
            for peer, reuse in peers:
                for one in mine:
                    for other in by_slot.get(peer, ()):
                        if one[0].line != other[0].line and (one[1].write or other[1].write):
                            pair = Pair(other[0], one[1], other[1], reuse)
                            found.setdefault(one[0], {})[pair] = None
        return {place: tuple(pairs) for place, pairs in found.items()}

    def begun(self, state: State, line: int) -> list[Order]:
        """Give what the start of a line's next action shows; nothing where the line ends one.

        Conflicting accesses that have begun are before it, or under way.
        """
        if state.progress[line] & 1:
            return []
        place = Place(line, state.progress[line] >> 1)
        found = []
        for pair in self.of.get(place, ()):
            done = state.progress[pair.place.line]
            together = pair.reuse < 0 or state.placed[pair.reuse] == SHARED
            if together and done > 2 * pair.place.turn:
                overlap = done == 2 * pair.place.turn + 1
                found.append(Order(pair.theirs, pair.mine, overlap))
        return found


def both_ways(orders: frozenset[Order]) -> set[frozenset[Touch]]:
    """Give the pairs that were seen in both orders, or at once."""
    ways = {(o.first, o.second) for o in orders}
    overlapped = {frozenset((o.first, o.second)) for o in orders if o.overlap}
    turned = {frozenset((a, b)) for a, b in ways if (b, a) in ways}
    return overlapped | turned


def races(orders: frozenset[Order]) -> set[tuple[int, int]]:
    """Give the pairs of ops whose accesses to bytes were seen in both orders, lesser op first.

    Two nodes of one launch are none: they have one op. What happens unseen is none either.
    """
    found = set()
    for pair in both_ways(orders):
        one, other = sorted(pair)
        hidden = any(touch.life or touch.access < 0 for touch in pair)
        if not hidden and one.op != other.op:
            found.add((one.op, other.op))
    return found
