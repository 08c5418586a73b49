"""Memory as the machine keeps it: a slot for each set of bytes that no access tells apart.

Bytes of one physical memory that the same accesses touch get one cell; every block (tenant) that
lies there has a slot of its own for it. Slots of blocks that lie in the same place are peers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from streamsan.sim.machine.program import (
    BEFORE,
    UNALLOCATED,
    UNINITIALISED,
    Guard,
    Reuse,
    Slot,
)
from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind
from streamsan.traces.ranges import intervals

Place = tuple[int, int]
"""A buffer and the index of a range."""
Life = tuple[int, int]
"""A buffer, and -1 for the block itself or the op that registered it."""

Releases = Mapping[int, tuple[int, tuple[Guard, ...]]]
"""By buffer: the op that frees it, and what its allocator waits for before the memory is handed
out again (R29, R37, R38)."""


class Memory(NamedTuple):
    """The slots of a program, and where each place and each life is found in them."""

    slots: tuple[Slot, ...]
    of_place: dict[Place, tuple[int, ...]]
    life: dict[Life, int]
    reuses: tuple[Reuse, ...]


def lay_out(
    trace: Trace, places: Iterable[Place], releases: Releases, lives: Iterable[Life]
) -> Memory:
    """Make the slots.

    Args:
        trace: the trace.
        places: every place that an access touches.
        releases: what allocators wait for.
        lives: those that end, or begin late, in the trace.
    """
    by_base: dict[int, list[Place]] = {}
    for place in sorted(set(places)):
        by_base.setdefault(int(trace.buffers.base[place[0]]), []).append(place)
    layout = _Layout(trace, releases)
    for group in by_base.values():
        for members, pieces in _cells(trace, group):
            layout.add_cell(members, pieces)
    return layout.finish(lives)


@dataclass(eq=False)
class _Layout:
    """Slots as they come; ``handed`` has, by former and later tenant, the slots they share."""

    trace: Trace
    releases: Releases
    slots: list[Slot] = field(default_factory=list)
    of_place: dict[Place, list[int]] = field(default_factory=dict)
    handed: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)

    def add_cell(self, members: list[Place], pieces: list[tuple[int, int]]) -> None:
        """Give each tenant of a cell its slot; tenants that always meet are peers at once."""
        mine: dict[int, int] = {}
        for buffer in sorted({place[0] for place in members}):
            born = int(self.trace.buffers.malloc[buffer])
            start = int(self.trace.buffers.start[buffer])
            mine[buffer] = len(self.slots)
            own = tuple((low - start, high - low) for low, high in pieces)
            self.slots.append(Slot(buffer, own, BEFORE if born < 0 else UNINITIALISED))
        for place in members:
            self.of_place.setdefault(place, []).append(mine[place[0]])
        for one, first in mine.items():
            always = []
            for other, second in mine.items():
                if self._waits(one, other):
                    self.handed.setdefault((one, other), []).append((first, second))
                elif one != other and not self._waits(other, one):
                    always.append((second, -1))
            self.slots[first] = self.slots[first]._replace(peers=tuple(always))

    def _waits(self, former: int, later: int) -> bool:
        """Whether an allocator waits for something before ``later`` gets ``former``'s memory."""
        op, guards = self.releases.get(former, (0, ()))
        return bool(guards) and int(self.trace.buffers.malloc[later]) > op

    def finish(self, lives: Iterable[Life]) -> Memory:
        """Name the peers of reuses by their numbers, and add the lives."""
        pairs = sorted(self.handed)
        for number, pair in enumerate(pairs):
            for first, second in self.handed[pair]:
                for slot, peer in ((first, second), (second, first)):
                    peers = (*self.slots[slot].peers, (peer, number))
                    self.slots[slot] = self.slots[slot]._replace(peers=peers)
        life = {}
        for each in sorted(set(lives)):
            life[each] = len(self.slots)
            first_life = BEFORE if each[1] >= 0 else _first_life(self.trace, each[0])
            self.slots.append(Slot(each[0], (), first_life))
        reuses = tuple(Reuse(*pair, self.releases[pair[0]][1], tuple(self.handed[pair]))
                       for pair in pairs)  # fmt: skip
        found = {place: tuple(mine) for place, mine in self.of_place.items()}
        return Memory(tuple(self.slots), found, life, reuses)


def _pieces(trace: Trace, place: Place) -> list[tuple[int, int]]:
    """Give the first byte of each piece of a place and the one after its last, in its base."""
    buffer, index = place
    start = int(trace.buffers.start[buffer])
    view = int(trace.ranges.strided[index])
    if view >= 0:
        low, high = intervals(trace.ranges.views[view])
        return [(a + start, b + start) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    length = int(trace.ranges.length[index])
    if length < 0:
        return [(start, start + int(trace.buffers.extent[buffer]))]
    offset = start + int(trace.ranges.offset[index])
    return [(offset, offset + length)] if length else []


def _cells(trace: Trace, places: list[Place]) -> list[tuple[list[Place], list[tuple[int, int]]]]:
    """Divide the bytes of one memory by the set of places that touch them."""
    turns: dict[int, int] = {}
    for index, place in enumerate(places):
        for low, high in _pieces(trace, place):
            if low < high:
                turns[low] = turns.get(low, 0) ^ (1 << index)
                turns[high] = turns.get(high, 0) ^ (1 << index)
    found: dict[int, list[tuple[int, int]]] = {}
    members, ends = 0, sorted(turns)
    for low, high in pairwise(ends):
        members ^= turns[low]
        if members:
            found.setdefault(members, []).append((low, high))
    return [
        ([place for index, place in enumerate(places) if bits >> index & 1], pieces)
        for bits, pieces in found.items()
    ]


def _first_life(trace: Trace, buffer: int) -> int:
    born = int(trace.buffers.malloc[buffer])
    late = born >= 0 and is_stream_ordered(trace, born)
    return UNALLOCATED if late else BEFORE


def is_stream_ordered(trace: Trace, malloc: int) -> bool:
    """Whether an allocation happens in stream order (R28): a ``malloc_async``, spelt either way."""
    if trace.kind[malloc] == Kind.MALLOC_ASYNC:
        return True
    ordered = trace[malloc].bit("allocator") == "stream_ordered"
    return ordered and int(trace.streams.of_op[malloc]) >= 0
