"""How far what a wait orders is needed: by what comes after it and conflicts with it.

An op u is needed by a wait if some op z after the wait conflicts with u and would not be after u
without it (rules.md, SO404). Of the ops of one lane only the last needed one counts: waiting for
it is waiting for all before it. Of the conflicts of two lanes only those count that reach further
along the first lane than any conflict before: the later op has every path of the earlier one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.facts.paths import Paths
from streamsan.traces.ops import Kind
from streamsan.traces.order.atoms import find_atoms

HOST = ("pinned", "pageable", "managed")
"""Spaces that host code may touch."""


@dataclass(slots=True)
class Need:
    """What is needed of one wait: by lane, how far; and by lane, the first op that needs it."""

    reach: dict[int, int] = field(default_factory=dict)
    users: dict[int, int] = field(default_factory=dict)


class Touch(NamedTuple):
    """Bytes touched at some nodes; a free that waits for several things has several nodes."""

    nodes: tuple[int, ...]
    op: int
    atoms: Sequence[int]
    write: bool


class Needs:
    """By wait, what is needed of it. ``whole``: taking every touch for one of its whole memory."""

    def __init__(self, lanes: Lanes, *, whole: bool = False) -> None:
        """Keep the lanes."""
        self.lanes = lanes
        self.paths = Paths(lanes)
        self.whole = whole
        self._found: dict[int, Need] = {}
        self._furthest: dict[tuple[int, int], int] = {}
        self._written: dict[int, dict[int, list[int]]] = {}
        self._read: dict[int, dict[int, list[int]]] = {}

    @cached_property
    def by_wait(self) -> dict[int, Need]:
        """What is needed, by the op of the wait; a wait of which nothing is needed is not in it."""
        for touch in self._touches():
            self._meet(touch)
        self._unseen()
        self._values()
        return self._found

    # --- who touches what, in an order of execution

    def _touches(self) -> Iterator[Touch]:
        placed = self.lanes.order.placed
        rank = self.lanes.order.clocks.rank
        when = placed.node if rank is None else rank[placed.node]
        last = [*when.tolist(), np.inf]
        nodes, ops, writes = placed.node.tolist(), placed.op.tolist(), placed.write.tolist()
        escapes, places, spans = placed.escape.tolist(), placed.place.tolist(), self._spans
        lives = [
            (max(touch.nodes if rank is None else rank[list(touch.nodes)].tolist()), touch)
            for touch in self._lives()
        ]
        lives.sort(key=lambda life: -life[0])
        for i, time in enumerate(last):
            while lives and lives[-1][0] < time:
                yield lives.pop()[1]
            if i < len(nodes) and not escapes[i]:
                yield Touch((nodes[i],), ops[i], spans[places[i]], writes[i])

    @cached_property
    def _spans(self) -> list[list[int]]:
        """The atoms of each place; for ``whole`` its memory."""
        places = self.lanes.order.placed.places
        if self.whole:
            return [[base] for base in places.base.tolist()]
        atoms = find_atoms(places)
        start = atoms.start.tolist()
        return [atoms.atom[a:b].tolist() for a, b in pairwise(start)]

    def _lives(self) -> Iterator[Touch]:
        """Beginnings and ends of blocks: they conflict with every access of the block.

        Collectives, too: those of one device have to start in the same order on every rank, so
        each conflicts with the others. A block comes back to its owner's stream, and what the
        allocator itself waits for is over when it is handed out again: what must be before the
        free may be before any of these.
        """
        order, trace = self.lanes.order, self.lanes.trace
        buffers, graph = trace.buffers, order.graph
        kinds = (
            *(Kind.FREE, Kind.FREE_ASYNC, Kind.MALLOC_ASYNC, Kind.MALLOC, Kind.HOST_UNREGISTER),
            Kind.COLLECTIVE,
        )
        of_buffer: dict[int, set[int]] = {}
        for place, buffer in enumerate(order.placed.places.buffer.tolist()):
            of_buffer.setdefault(buffer, set()).update(self._spans[place])
        for op in np.flatnonzero(np.isin(trace.kind, kinds)).tolist():
            buffer = int(buffers.of_op[op])
            if trace.kind[op] == Kind.MALLOC and trace.streams.of_op[op] < 0:
                continue
            if trace.kind[op] == Kind.COLLECTIVE:
                atom = -1 - int(trace.device[op])
                yield Touch((int(graph.op_node[op]),), op, (atom,), write=True)
                continue
            nodes = [int(graph.op_node[op]), *graph.owner_tail.get(op, ())]
            release = graph.releases.get(buffer)
            if release is not None and release.free == op:
                nodes.extend(release.nodes)
            if buffer in of_buffer:
                yield Touch(tuple(dict.fromkeys(nodes)), op, sorted(of_buffer[buffer]), write=True)

    # --- conflicts

    def _meet(self, touch: Touch) -> None:
        """Let a touch meet the last conflicting one before it on each other lane."""
        lanes, main = self.lanes, touch.nodes[0]
        lane, position = lanes.lane[main], lanes.position[main]
        is_single = len(touch.nodes) == 1
        before = lanes.clock(main)
        if not is_single:
            before = [max(known) for known in zip(*map(lanes.through, touch.nodes), strict=True)]
        for other, last in self._last(touch, before).items():
            if not is_single:
                self._need(other, last, touch.nodes, touch.op)
            elif other != lane and last > self._furthest.get((other, lane), 0):
                self._furthest[other, lane] = last
                self._need(other, last, touch.nodes, touch.op)
        kept = self._written if touch.write else self._read
        for atom in touch.atoms:
            positions = kept.setdefault(atom, {}).setdefault(lane, [])
            if not positions or positions[-1] < position:
                positions.append(position)

    def _last(self, touch: Touch, before: Sequence[int]) -> dict[int, int]:
        """Give, by lane, the last conflicting touch that is before a clock."""
        found: dict[int, int] = {}
        for state in (self._written, self._read) if touch.write else (self._written,):
            for atom in touch.atoms:
                for lane, positions in state.get(atom, {}).items():
                    last = positions[-1]
                    if last > before[lane]:  # unordered: a hazard, and no need of a wait
                        place = bisect_right(positions, before[lane])
                        last = positions[place - 1] if place else 0
                    if last > found.get(lane, 0):
                        found[lane] = last
        return found

    def _need(self, lane: int, position: int, to: Sequence[int], op: int) -> None:
        """Note what waits a conflict hangs on."""
        user = self.lanes.lane[to[0]]
        for wait in self.paths.path(lane, position, to):
            need = self._found.get(wait)
            if need and need.reach.get(lane, 0) >= position and need.users.get(user, op + 1) <= op:
                continue
            if not self.paths.avoids(lane, position, to, wait):
                need = self._found.setdefault(wait, Need())
                need.reach[lane] = max(need.reach.get(lane, 0), position)
                need.users[user] = min(need.users.get(user, op), op)

    # --- what cannot be seen

    def _unseen(self) -> None:
        """Let host code that is not in the trace need what device work did to the host's memory.

        From a ``host_escape`` on, and anywhere where the reads and writes of host code are not
        complete: at the first node of each thread that knows of it.
        """
        lanes, placed = self.lanes, self.lanes.order.placed
        places, space = placed.places, np.array(self.lanes.trace.buffers.space)
        hidden = np.isin(places.base, places.base[placed.place[placed.escape]])
        if not self.lanes.trace.header.complete.host and len(places):
            hidden |= np.isin(space[places.buffer], HOST)
        threads = lanes.thread_lanes
        furthest: dict[tuple[int, int], int] = {}
        for node in np.unique(placed.node[hidden[placed.place] & ~placed.escape]).tolist():
            lane, position = lanes.lane[node], lanes.position[node]
            for thread in threads:
                first = lanes.first_knowing(thread, lane, position)
                if thread != lane and first <= len(lanes.nodes[thread]):
                    key = (lane, lanes.nodes[thread][first - 1])
                    furthest[key] = max(furthest.get(key, 0), position)
        for (lane, node), position in furthest.items():
            self._need(lane, position, (node,), lanes.op[node])

    def _values(self) -> None:
        """Let every write of a value need all before it.

        What a value wait orders is what all writes that may meet it have in common (R45): it may
        hang on several waits at once, which no path shows.
        """
        trace = self.lanes.trace
        for op in np.flatnonzero(trace.kind == Kind.STREAM_WRITE_VALUE).tolist():
            node = int(self.lanes.order.graph.op_node[op])
            for lane, position in enumerate(self.lanes.clock(node)):
                if position and lane != self.lanes.lane[node]:
                    self._need(lane, position, (node,), op)
