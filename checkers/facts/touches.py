"""Who touches which bytes, in an order of execution: accesses, and beginnings and ends of blocks.

A **stretch** is a run of one lane's accesses that know of the same: their nodes share a clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.checkers.facts.lanes import Lanes
from streamsan.traces.ops import Kind
from streamsan.traces.order.atoms import find_atoms

NEAREST = 64
"""Accesses of a lane looked at for an earlier one of the same bytes, in traces with hazards."""
Atoms = NDArray[np.int32]


class Touch(NamedTuple):
    """Bytes touched at some nodes.

    ``stretch`` is None for what stands alone: beginnings and ends of blocks, and collectives. Such
    a touch may have several nodes: what must be before it may be before any of them. ``begins``:
    the first of its stretch.
    """

    nodes: tuple[int, ...]
    op: int
    atoms: Atoms
    write: bool
    stretch: int | None = None
    begins: bool = False


class Touches:
    """The touches of a trace; ``whole`` takes each for one of its whole memory."""

    def __init__(self, lanes: Lanes, *, whole: bool) -> None:
        """Keep the lanes."""
        self.lanes = lanes
        self.whole = whole
        self.placed = lanes.order.placed
        self._sets: dict[bytes, tuple[Atoms, Atoms]] = {}

    @cached_property
    def spans(self) -> list[Atoms]:
        """The atoms of each place."""
        places = self.placed.places
        if self.whole:
            _, memory = np.unique(places.base, return_inverse=True)
            return list(memory.astype(np.int32)[:, None])
        atoms = find_atoms(places)
        return np.split(atoms.atom, atoms.start[1:-1]) if len(places) else []

    @cached_property
    def atoms(self) -> int:
        """How many atoms there are; those of collectives, one a device, stand at the end."""
        return self._first_device + int(self.lanes.trace.device.max(initial=0)) + 1

    @cached_property
    def _first_device(self) -> int:
        return max((int(span.max(initial=-1)) for span in self.spans), default=-1) + 1

    def in_order(self) -> Iterator[Touch]:
        """Go through every touch. Escapes are none: they last."""
        placed, rank = self.placed, self.lanes.order.clocks.rank
        times = placed.node if rank is None else rank[placed.node]
        lives = [
            (max(touch.nodes if rank is None else rank[list(touch.nodes)].tolist()), touch)
            for touch in self._lives()
        ]
        lives.sort(key=lambda life: -life[0])
        begun = np.zeros(int(self._stretch.max(initial=-1)) + 1, dtype=bool)
        nodes, ops, writes = placed.node.tolist(), placed.op.tolist(), placed.write.tolist()
        escapes, places = placed.escape.tolist(), placed.place.tolist()
        stretches, spans = self._stretch.tolist(), self.spans
        for i, time in enumerate([*times.tolist(), np.inf]):
            while lives and lives[-1][0] < time:
                yield lives.pop()[1]
            if i < len(nodes) and not escapes[i]:
                stretch = stretches[i]
                begins = not begun[stretch]
                begun[stretch] = True
                yield Touch((nodes[i],), ops[i], spans[places[i]], writes[i], stretch, begins)

    # --- stretches

    @cached_property
    def _stretch(self) -> NDArray[np.int64]:
        """The stretch of each access."""
        clocks, node = self.lanes.order.clocks, self.placed.node
        key = clocks.lane[node].astype(np.int64) * (int(clocks.row.max(initial=0)) + 1)
        _, found = np.unique(key + clocks.row[node], return_inverse=True)
        stretch: NDArray[np.int64] = found.astype(np.int64)
        return stretch

    @cached_property
    def _by_stretch(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        order = np.argsort(self._stretch, kind="stable")
        order = order[~self.placed.escape[order]]
        count = int(self._stretch.max(initial=-1)) + 1
        return order, np.searchsorted(self._stretch[order], np.arange(count + 1))

    def _accesses(self, touch: Touch) -> NDArray[np.intp]:
        order, start = self._by_stretch
        if touch.stretch is None:
            return order[:0]
        return order[start[touch.stretch] : start[touch.stretch + 1]]

    def sets(self, touch: Touch) -> tuple[Atoms, Atoms]:
        """Give the atoms that a stretch reads, and those that it writes."""
        mine = self._accesses(touch)
        keys = np.unique(self.placed.place[mine] * 2 + self.placed.write[mine])
        known = self._sets.get(keys.tobytes())
        if known is None:
            none = [np.zeros(0, np.int32)]
            reads = [self.spans[key // 2] for key in keys.tolist() if not key % 2]
            writes = [self.spans[key // 2] for key in keys.tolist() if key % 2]
            known = (np.concatenate(reads + none), np.concatenate(writes + none))
            self._sets[keys.tobytes()] = known
        return known

    def of_stretch(self, touch: Touch) -> Iterator[tuple[int, int, Atoms, bool]]:
        """Go through a stretch: node, op, atoms and mode of the first access of each kind."""
        placed, mine = self.placed, self._accesses(touch)
        _, first = np.unique(placed.place[mine] * 2 + placed.write[mine], return_index=True)
        for access in mine[np.sort(first)].tolist():
            span = self.spans[int(placed.place[access])]
            yield int(placed.node[access]), int(placed.op[access]), span, bool(placed.write[access])

    @cached_property
    def _by_lane(self) -> dict[int, tuple[list[int], list[int]]]:
        """By lane: positions and accesses, for the rare look further back."""
        lanes = self.lanes.order.clocks.lane[self.placed.node]
        order = np.argsort(lanes, kind="stable")
        order = order[~self.placed.escape[order]]
        stops = np.searchsorted(lanes[order], np.arange(len(self.lanes.line) + 1)).tolist()
        position = self.lanes.order.clocks.position[self.placed.node]
        return {
            lane: (position[order[a:b]].tolist(), order[a:b].tolist())
            for lane, (a, b) in enumerate(pairwise(stops))
        }

    def last_on(self, lane: int, atom: int, to: int, *, any_touch: bool) -> int:
        """Give the last position on a lane, up to one, that wrote an atom, or touched it.

        The nearest accesses are looked at; if none is among them, all up to there counts.
        """
        positions, accesses = self._by_lane.get(lane, ([], []))
        stop = bisect_right(positions, to)
        start = max(0, stop - NEAREST)
        writes, places, bounds = self._writes, self._places, self._bounds
        for at in range(stop - 1, start - 1, -1):
            access = accesses[at]
            if any_touch or writes[access]:
                low, high, gaps = bounds[places[access]]
                if low <= atom <= high and not (gaps and atom not in self.spans[places[access]]):
                    return positions[at]
        return to if start else 0

    @cached_property
    def _writes(self) -> list[bool]:
        return list(self.placed.write.tolist())

    @cached_property
    def _places(self) -> list[int]:
        return list(self.placed.place.tolist())

    @cached_property
    def _bounds(self) -> list[tuple[int, int, bool]]:
        """By place: its first and last atom, and whether some between are none of its own."""
        found = []
        for span in self.spans:
            low, high = (int(span.min()), int(span.max())) if len(span) else (0, -1)
            found.append((low, high, high - low + 1 != len(span)))
        return found

    # --- blocks

    def _lives(self) -> Iterator[Touch]:
        """Beginnings and ends of blocks: they conflict with every access of the block.

        Collectives, too: those of one device have to start in the same order on every rank, so
        each conflicts with the others. A block comes back to its owner's stream, and what the
        allocator itself waits for is over when it is handed out again: what must be before a free
        may be before any of these.
        """
        trace, graph = self.lanes.trace, self.lanes.order.graph
        buffers, of_buffer = trace.buffers, self._of_buffer
        kinds = (
            *(Kind.FREE, Kind.FREE_ASYNC, Kind.MALLOC_ASYNC, Kind.MALLOC, Kind.HOST_UNREGISTER),
            Kind.COLLECTIVE,
        )
        for op in np.flatnonzero(np.isin(trace.kind, kinds)).tolist():
            node, buffer = int(graph.op_node[op]), int(buffers.of_op[op])
            if trace.kind[op] == Kind.COLLECTIVE:
                own = np.array([self._first_device + int(trace.device[op])], np.int32)
                yield Touch((node,), op, own, write=True)
            elif trace.kind[op] != Kind.MALLOC or trace.streams.of_op[op] >= 0:
                release = graph.releases.get(buffer)
                over = release.nodes if release is not None and release.free == op else ()
                nodes = dict.fromkeys((node, *graph.owner_tail.get(op, ()), *over))
                if buffer in of_buffer:
                    yield Touch(tuple(nodes), op, of_buffer[buffer], write=True)

    @cached_property
    def _of_buffer(self) -> dict[int, Atoms]:
        """By buffer: the atoms of all its places."""
        found: dict[int, list[Atoms]] = {}
        for place, buffer in enumerate(self.placed.places.buffer.tolist()):
            found.setdefault(buffer, []).append(self.spans[place])
        return {buffer: np.unique(np.concatenate(spans)) for buffer, spans in found.items()}
