"""How far what a wait orders is needed: by what comes after it and conflicts with it.

An op u is needed by a wait if some op z after the wait conflicts with u and would not be after u
without it (rules.md, SO404). Of the ops of one lane only the last needed one counts: waiting for
it is waiting for all before it. Of the conflicts of two lanes only those count that reach further
along the first lane than any conflict before: the later op has every path of the earlier one. So
ops that know of the same (a **stretch** of a lane) are looked at together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.facts.paths import Paths
from streamsan.checkers.facts.touches import Atoms, Touch, Touches
from streamsan.traces.ops import Kind

HOST = ("pinned", "pageable", "managed")
"""Spaces that host code may touch."""


@dataclass(slots=True)
class Need:
    """What is needed of one wait: by lane, how far; and by lane, the first op that needs it."""

    reach: dict[int, int] = field(default_factory=dict)
    users: dict[int, int] = field(default_factory=dict)


class Needs:
    """By wait, what is needed of it. ``whole``: taking every touch for one of its whole memory."""

    def __init__(self, lanes: Lanes, *, whole: bool = False) -> None:
        """Keep the lanes."""
        self.lanes = lanes
        self.paths = Paths(lanes)
        self.touches = Touches(lanes, whole=whole)
        self._found: dict[int, Need] = {}
        self._furthest: dict[tuple[int, int], int] = {}
        self._last: dict[int, tuple[Atoms, Atoms]] = {}
        """By lane: the last position that wrote each atom, and the last that touched it."""

    @cached_property
    def by_wait(self) -> dict[int, Need]:
        """What is needed, by the op of the wait; a wait of which nothing is needed is not in it."""
        for touch in self.touches.in_order():
            if touch.stretch is None:
                self._meet_alone(touch)
            elif touch.begins:
                self._meet(touch)
            lane = self.lanes.lane[touch.nodes[0]]
            written, touched = self._of_lane(lane)
            position = self.lanes.position[touch.nodes[0]]
            touched[touch.atoms] = position
            if touch.write:
                written[touch.atoms] = position
        self._unseen()
        self._values()
        return self._found

    def _of_lane(self, lane: int) -> tuple[Atoms, Atoms]:
        if lane not in self._last:
            empty = np.zeros(self.touches.atoms, np.int32)
            self._last[lane] = (empty, empty.copy())
        return self._last[lane]

    # --- conflicts

    def _reach(self, lane: int, to: int, atoms: Atoms, *, write: bool) -> int:
        """Give the last position on a lane, up to one, that conflicts with a touch of atoms.

        What the lane did later conflicts, too, but is a hazard and no need of a wait.
        """
        if not len(atoms):
            return 0
        at = self._last[lane][write][atoms]
        found = int(at.max())
        if found <= to:
            return found
        found = int(at[at <= to].max(initial=0))
        for atom in atoms[at > to].tolist():
            found = max(found, self.touches.last_on(lane, atom, to, any_touch=write))
        return found

    def _meet(self, touch: Touch) -> None:
        """Let a stretch meet what each other lane did before it."""
        here, before = self.lanes.lane[touch.nodes[0]], self.lanes.clock(touch.nodes[0])
        reads, writes = self.touches.sets(touch)
        for lane in self._last:
            known, furthest = before[lane], self._furthest.get((lane, here), 0)
            if lane == here or known <= furthest:
                continue
            reach = max(
                self._reach(lane, known, reads, write=False),
                self._reach(lane, known, writes, write=True),
            )
            if reach <= furthest:
                continue
            for node, op, atoms, write in self.touches.of_stretch(touch):
                mine = self._reach(lane, known, atoms, write=write)
                if mine > furthest:
                    self._furthest[lane, here] = furthest = mine
                    self._need(lane, mine, (node,), op)
                if furthest >= reach:
                    break

    def _meet_alone(self, touch: Touch) -> None:
        lanes = self.lanes
        before = [max(known) for known in zip(*map(lanes.through, touch.nodes), strict=True)]
        for lane in self._last:
            reach = self._reach(lane, before[lane], touch.atoms, write=True)
            if reach:
                self._need(lane, reach, touch.nodes, touch.op)

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
        furthest: dict[tuple[int, int], int] = {}
        for node in np.unique(placed.node[hidden[placed.place] & ~placed.escape]).tolist():
            lane, position = lanes.lane[node], lanes.position[node]
            for thread in lanes.thread_lanes:
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
