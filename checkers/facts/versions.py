"""Which of several copies into the same bytes a host read waited for."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import numpy as np

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore

NEAREST = 64
"""Earlier copies looked at: deeper than any ring, and a bound for traces of many hazards."""


class Versions:
    """Looks up the copies into a memory."""

    def __init__(self, order: HappensBefore) -> None:
        """Keep the order."""
        self.order = order

    @cached_property
    def _copies(self) -> dict[int, tuple[list[int], list[int]]]:
        """By base: ops that copy into it, and their accesses, in issue order."""
        placed = self.order.placed
        is_copy = placed.write & (self.order.trace.kind[placed.op] == Kind.MEMCPY)
        mine = np.flatnonzero(is_copy)
        mine = mine[np.argsort(placed.op[mine], kind="stable")]
        found: dict[int, tuple[list[int], list[int]]] = {}
        for access in mine.tolist():
            base = int(placed.places.base[placed.place[access]])
            ops, accesses = found.setdefault(base, ([], []))
            ops.append(int(placed.op[access]))
            accesses.append(access)
        return found

    def waited(self, conflict: Conflict) -> int | None:
        """Give the earlier copy into a copy's bytes that the host's read comes after.

        That makes the read ambiguous (SO116) instead of early (SO111): copy k was waited for, copy
        k+1 into the same bytes is under way. None where no earlier copy was waited for.
        """
        if conflict.sides != ("device", "host") or conflict.kind != "RAW":
            return None
        copy = conflict.ops[0]
        if self.order.trace.kind[copy] != Kind.MEMCPY:
            return None
        placed, clocks = self.order.placed, self.order.clocks
        place, node = int(placed.place[conflict.first]), int(placed.node[conflict.second])
        ops, accesses = self._copies.get(int(placed.places.base[place]), ([], []))
        stop = bisect_left(ops, copy)
        for access in reversed(accesses[max(0, stop - NEAREST) : stop]):
            earlier = int(placed.node[access])
            other = int(placed.place[access])
            if placed.places.buffer[other] != placed.places.buffer[place]:
                continue  # memory of before, freed since: no version of this buffer
            overlap = placed.places.overlap(other, place)
            if overlap is not None and clocks.is_before(earlier, node):
                return int(placed.op[access])
        return None

    def same_bytes(self, conflict: Conflict) -> bool:
        """Whether an overwrite by a copy only puts back what stands there, by their digests.

        The last write of the bytes before it, in issue order, was a copy of the same digest to the
        same place.
        """
        placed, trace = self.order.placed, self.order.trace
        write = conflict.ops[1]
        digest = trace[write].extras.get("digest")
        if digest is None:
            return False
        place = placed.place[conflict.second]
        before = np.flatnonzero(placed.write & (placed.op < write))
        same = placed.places.base[placed.place[before]] == placed.places.base[place]
        for access in before[same][::-1].tolist():
            if placed.places.overlap(int(placed.place[access]), int(place)) is not None:
                last = int(placed.op[access])
                is_same = placed.place[access] == place
                return bool(is_same and trace[last].extras.get("digest") == digest)
        return False
