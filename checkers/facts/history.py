"""What happens to the bytes that copies move between host and device: who wrote, who read.

Per atom of memory, the accesses in an order of execution. Unless ``every`` memory is asked for,
only that which such copies touch is looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
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


class Timeline(NamedTuple):
    """Accesses in order of execution, atom after atom; ``start`` says where each atom's begin."""

    start: list[int]
    access: NDArray[np.intp]

    def before(self, atom: int, access: int) -> int:
        """Give the last access of an atom before another access, -1 for none."""
        low, high = self.start[atom], self.start[atom + 1]
        at = bisect_left(self.access, access, low, high)
        return int(self.access[at - 1]) if at > low else -1

    def after(self, atom: int, access: int) -> int:
        """Give the first access of an atom after another access, -1 for none."""
        low, high = self.start[atom], self.start[atom + 1]
        at = bisect_left(self.access, access + 1, low, high)
        return int(self.access[at]) if at < high else -1


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
    def _by_op(self) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        order = np.argsort(self.order.placed.op, kind="stable")
        return order, self.order.placed.op[order]

    def reads_of(self, op: int) -> list[int]:
        """Give the accesses by which an op reads."""
        order, ops = self._by_op
        low, high = np.searchsorted(ops, np.array((op, op + 1), ops.dtype))
        placed = self.order.placed
        mine = order[low:high]
        found: list[int] = mine[~placed.write[mine] & ~placed.escape[mine]].tolist()
        return found

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
    def _timeline(self) -> Timeline:
        """By atom: the accesses of it, in order of execution."""
        return self._by_atom(~self.order.placed.escape)

    @cached_property
    def _writes(self) -> Timeline:
        """By atom: the writes of it, in order of execution."""
        return self._by_atom(self.order.placed.write)

    def _by_atom(self, wanted: NDArray[np.bool_]) -> Timeline:
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
        starts = np.searchsorted(atom[order], np.arange(atoms.count + 1))
        return Timeline(starts.tolist(), access[order])

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
        found = [self._writes.before(atom, access) for atom in self.atoms(place)]
        return (min(found), max(found)) if found else (-1, -1)

    def writers(self, access: int) -> set[int]:
        """Give the accesses that last wrote the bytes of an access before it."""
        place = int(self.order.placed.place[access])
        found = {self._writes.before(atom, access) for atom in self.atoms(place)}
        return found - {-1}

    def users(self, access: int) -> set[int]:
        """Give the accesses that last used the bytes of an access before it."""
        place = int(self.order.placed.place[access])
        found = {self._timeline.before(atom, access) for atom in self.atoms(place)}
        return found - {-1}

    def unchanged(self, place: int, since: int, until: int) -> bool:
        """Whether no byte of a place is written between two accesses."""
        return self.writes_before(until, place)[1] <= since

    def next_uses(self, access: int, place: int) -> set[int]:
        """Give the accesses that are next to use the bytes of a place after one; -1 for none."""
        return {self._timeline.after(atom, access) for atom in self.atoms(place)}

    def host_users(self, op: int) -> list[int]:
        """Give the host's reads and writes that are the next to use what a copy brings."""
        placed, move = self.order.placed, self.move_of.get(op)
        if move is None:
            return []
        uses = self.next_uses(move.target, int(placed.place[move.target])) - {-1}
        users = {int(placed.op[use]) for use in uses}
        by_host = (Kind.HOST_READ, Kind.HOST_WRITE)
        return sorted(op for op in users if self.trace.kind[op] in by_host)

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
