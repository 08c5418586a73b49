"""What happens to the bytes that copies move between host and device: who wrote, who read.

Per atom of memory, the accesses in an order of execution. Unless ``every`` memory is asked for,
only that which such copies touch is looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.atoms import Atoms, find_atoms
from streamsan.traces.order.semantics import copy_kind
from streamsan.traces.ranges import merge

UNKNOWN_SIZE = 2**52
"""From here on a place's bytes are not known: it is a whole buffer of unknown size."""


class Move(NamedTuple):
    """A copy between host and device; ``source`` and ``target`` are placed accesses."""

    op: int
    kind: str
    source: int
    target: int


class History:
    """Looks up what happened to bytes before and after an access."""

    def __init__(self, order: HappensBefore, *, every: bool = False) -> None:
        """Keep the order."""
        self.order = order
        self.every = every
        self.trace = order.trace

    @cached_property
    def moves(self) -> list[Move]:
        """Every copy between host and device, in issue order."""
        trace, placed = self.trace, self.order.placed
        ops = np.flatnonzero(trace.kind == Kind.MEMCPY)
        where = np.full(len(trace.access_range), -1, dtype=np.int64)
        where[placed.source] = np.arange(len(placed))
        found = []
        for op in ops.tolist():
            first = int(trace.access_start[op])
            spaces = [trace.buffers.space[int(trace.buffers.of_access[first + i])] for i in (0, 1)]
            kind = copy_kind(trace[op].bit("kind"), spaces[0], spaces[1])
            if kind in ("H2D", "D2H"):
                found.append(Move(op, kind, int(where[first]), int(where[first + 1])))
        return found

    @cached_property
    def move_into(self) -> dict[int, Move]:
        """The copy that makes an access, by the access that writes."""
        return {move.target: move for move in self.moves}

    @cached_property
    def _reads_of(self) -> dict[int, list[int]]:
        placed = self.order.placed
        found: dict[int, list[int]] = {}
        for access in np.flatnonzero(~placed.write & ~placed.escape).tolist():
            found.setdefault(int(placed.op[access]), []).append(access)
        return found

    def reads_of(self, op: int) -> list[int]:
        """Give the accesses by which an op reads."""
        return self._reads_of.get(op, [])

    @cached_property
    def move_of(self) -> dict[int, Move]:
        """The copy of each op that is one."""
        return {move.op: move for move in self.moves}

    # --- bytes

    @cached_property
    def _atoms(self) -> Atoms:
        return find_atoms(self.order.placed.places)

    def atoms(self, place: int) -> list[int]:
        """Give the atoms of a place."""
        start = self._atoms.start
        found: list[int] = self._atoms.atom[start[place] : start[place + 1]].tolist()
        return found

    @cached_property
    def _timeline(self) -> dict[int, list[int]]:
        """By atom: the accesses of it, in order of execution."""
        return self._by_atom(~self.order.placed.escape)

    @cached_property
    def _writes(self) -> dict[int, list[int]]:
        """By atom: the writes of it, in order of execution."""
        return self._by_atom(self.order.placed.write)

    def _by_atom(self, wanted: NDArray[np.bool_]) -> dict[int, list[int]]:
        placed, atoms = self.order.placed, self._atoms
        if not self.every:
            base = placed.places.base[placed.place]
            ends = [end for move in self.moves for end in (move.source, move.target)]
            wanted = np.isin(base, base[ends]) & wanted
        mine = np.flatnonzero(wanted)
        start = atoms.start.astype(np.int64)
        length = np.diff(start)[placed.place[mine]]
        access = np.repeat(mine, length)
        step = np.arange(len(access)) - np.repeat(np.cumsum(length) - length, length)
        atom = atoms.atom[np.repeat(start[placed.place[mine]], length) + step]
        order = np.argsort(atom, kind="stable")
        names, first = np.unique(atom[order], return_index=True)
        stops = [*first.tolist(), len(order)]
        return {
            int(name): access[order[a:b]].tolist()
            for name, (a, b) in zip(names, pairwise(stops), strict=True)
        }

    @cached_property
    def escaped(self) -> NDArray[np.bool_]:
        """By place: whether host code may touch its memory unseen."""
        placed = self.order.placed
        base = placed.places.base
        found: NDArray[np.bool_] = np.isin(base, base[placed.place[placed.escape]])
        return found

    def size(self, place: int) -> int | None:
        """Give the bytes of a place, None where they are not known."""
        low, high = self.order.placed.places.pieces(place)
        total = int((high - low).sum())
        return total if total < UNKNOWN_SIZE else None

    def same_bytes(self, one: int, other: int) -> bool:
        """Whether two places are the same bytes in the same order, as far as ranges tell."""
        places = self.order.placed.places
        ranges = self.trace.ranges
        strided = [int(ranges.strided[int(places.range[p])]) for p in (one, other)]
        if one == other:
            return True
        spans = [(places.base[p], places.low[p], places.high[p]) for p in (one, other)]
        return strided == [-1, -1] and spans[0] == spans[1]

    # --- before and after

    def writes_before(self, access: int, place: int) -> tuple[int, int]:
        """Give the oldest and the newest of the last writes of a place's bytes before an access.

        They are one where one access wrote all of it; -1 stands for what was there before.
        """
        found = [self.last(self._writes, atom, access) for atom in self.atoms(place)]
        return (min(found), max(found)) if found else (-1, -1)

    def writers(self, access: int) -> set[int]:
        """Give the accesses that last wrote the bytes of an access before it."""
        place = int(self.order.placed.place[access])
        found = {self.last(self._writes, atom, access) for atom in self.atoms(place)}
        return found - {-1}

    def users(self, access: int) -> set[int]:
        """Give the accesses that last used the bytes of an access before it."""
        place = int(self.order.placed.place[access])
        found = {self.last(self._timeline, atom, access) for atom in self.atoms(place)}
        return found - {-1}

    @staticmethod
    def last(timeline: dict[int, list[int]], atom: int, before: int) -> int:
        """Give the last access of an atom before another access, -1 for none."""
        line = timeline.get(atom, [])
        at = bisect_left(line, before) - 1
        return line[at] if at >= 0 else -1

    def unchanged(self, place: int, since: int, until: int) -> bool:
        """Whether no byte of a place is written between two accesses."""
        return self.writes_before(until, place)[1] <= since

    def next_uses(self, access: int, place: int) -> list[tuple[int, int]]:
        """Give, for each atom of a place, it and the next access after one; -1 for none."""
        found = []
        for atom in self.atoms(place):
            line = self._timeline.get(atom, [])
            at = bisect_left(line, access + 1)
            found.append((atom, line[at] if at < len(line) else -1))
        return found

    def bytes_left(self, place: int, taken: set[int]) -> list[list[int]]:
        """Give [first byte, length] of the parts of a place, in its buffer, outside other places.

        For places of known size.
        """
        places = self.order.placed.places
        low, high = places.pieces(place)
        others = [places.pieces(p) for p in taken]
        start, stop = merge(
            np.concatenate([low[:0], *(a for a, _ in others)]),
            np.concatenate([high[:0], *(b for _, b in others)]),
        )
        shift = int(self.trace.buffers.start[int(places.buffer[place])])
        left: list[list[int]] = []
        for a, b in zip(low.tolist(), high.tolist(), strict=True):
            at = a
            for c, d in zip(start.tolist(), stop.tolist(), strict=True):
                if c < b and d > at:
                    if c > at:
                        left.append([at - shift, c - at])
                    at = max(at, d)
            if at < b:
                left.append([at - shift, b - at])
        return left
