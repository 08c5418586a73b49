"""Order the nodes of a graph whose edges may point backwards in the file.

A wait on a value, an await, a collective or a late thread start may depend on something issued
later (R45, R50, R51). What must come before a node is then the greatest solution of

    must(node) = union of must(p) and p, over its predecessors p
    must(wait) = also the intersection of must(w) and w, over the writes w that can meet it

Such a set holds a first part of every lane, so it is a clock: a union is a maximum, an
intersection a minimum, and a node of which nothing is known yet is above every clock. A node that
stays so never runs: the program hangs there. The edges that can never be met are kept as ``stuck``
(rules SO601 to SO603) and the walk goes on without them.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.clocks import Clocks
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.graph import Graph

Clock = list[int]
"""The last position on each lane that is before or at a node."""


class Settled(NamedTuple):
    """A graph with its value waits resolved to edges, and its clocks."""

    graph: Graph
    clocks: Clocks


class _Walk:
    def __init__(self, graph: Graph) -> None:
        count = len(graph.node_lane)
        self.lanes = len(graph.lane_label)
        self.lane: list[int] = graph.node_lane.tolist()
        self.position = _positions(graph)
        self.sources: list[list[int]] = [[] for _ in range(count)]
        self.targets: list[list[int]] = [[] for _ in range(count)]
        for source, target in zip(graph.edge_source, graph.edge_target, strict=True):
            self._link(int(source), int(target))
        for node, before in enumerate(graph.previous.tolist()):
            if before >= 0:
                self._link(before, node)
        self.writes = {wait.node: wait.writes for wait in graph.value_waits}
        self.clock: list[Clock | None] = [None] * count
        self.meet: dict[int, Clock | None] = dict.fromkeys(self.writes)
        self.todo = [n for n in range(count) if not self.sources[n]]
        self.stuck: list[tuple[int, int]] = []

    def _link(self, source: int, target: int) -> None:
        self.sources[target].append(source)
        self.targets[source].append(target)

    def run(self) -> None:
        heapq.heapify(self.todo)
        while True:
            self._drain()
            if not self._meet() and not self._break():
                return

    def _drain(self) -> None:
        """Spread what is known: a node is known once all its predecessors are."""
        while self.todo:
            node = heapq.heappop(self.todo)
            clock = self._union(node)
            if clock is not None and clock != self.clock[node]:
                self.clock[node] = clock
                for target in self.targets[node]:
                    heapq.heappush(self.todo, target)

    def _union(self, node: int) -> Clock | None:
        clocks = [self.clock[s] for s in self.sources[node]]
        if node in self.writes:
            clocks.append(self.meet[node])
        known = [c for c in clocks if c is not None]
        if len(known) < len(clocks):
            return None
        found = list(map(max, zip(*known, strict=True))) if known else [0] * self.lanes
        found[self.lane[node]] = self.position[node]
        return found

    def _meet(self) -> bool:
        """Bring the value waits up to date: what ALL writes that may meet one come after (R45).

        A write of which nothing is known takes nothing away: it may be behind this very wait.
        """
        changed = False
        for wait, writes in self.writes.items():
            known = [c for c in (self.clock[w] for w in writes) if c is not None]
            common = list(map(min, zip(*known, strict=True))) if known else None
            if not writes:
                common = [0] * self.lanes  # nothing in the trace meets it: nothing follows
            if common != self.meet[wait]:
                self.meet[wait] = common
                heapq.heappush(self.todo, wait)
                changed = True
        return changed

    def _break(self) -> bool:
        """Let the lowest node that never runs go on, and remember for what it waited."""
        node = next((n for n, clock in enumerate(self.clock) if clock is None), None)
        if node is None:
            return False
        for source in [s for s in self.sources[node] if self.clock[s] is None]:
            self.stuck.append((source, node))
            self.sources[node].remove(source)
            self.targets[source].remove(node)
        if node in self.writes and self.meet[node] is None:
            self.stuck.extend((write, node) for write in self.writes.pop(node))
        heapq.heappush(self.todo, node)
        return True

    def met(self) -> list[tuple[int, int]]:
        """Give the last node on each lane that each value wait comes after, as edges."""
        at = {
            (lane, p): n for n, (lane, p) in enumerate(zip(self.lane, self.position, strict=True))
        }
        found: list[tuple[int, int]] = []
        for wait, common in self.meet.items():
            if wait in self.writes and common is not None:
                found.extend((at[lane, p], wait) for lane, p in enumerate(common) if p)
        return found


def _positions(graph: Graph) -> list[int]:
    found = [0] * len(graph.node_lane)
    for node, before in enumerate(graph.previous.tolist()):
        found[node] = 1 if before < 0 else found[before] + 1
    return found


def settle(graph: Graph) -> Settled:
    """Order, resolve and close a graph; its nodes keep their numbers."""
    walk = _Walk(graph)
    walk.run()
    met = np.array(walk.met(), np.int32).reshape(-1, 2)
    stuck = set(walk.stuck)
    pairs = zip(graph.edge_source.tolist(), graph.edge_target.tolist(), strict=True)
    keep = np.array([pair not in stuck for pair in pairs], dtype=bool)
    settled = replace(
        graph,
        edge_source=np.concatenate([graph.edge_source[keep], met[:, 0]]),
        edge_target=np.concatenate([graph.edge_target[keep], met[:, 1]]),
        edge_reason=np.concatenate(
            [graph.edge_reason[keep], np.full(len(met), Reason.VALUE, np.uint8)]
        ),
        edge_via=np.concatenate([graph.edge_via[keep], np.full(len(met), -1, np.int32)]),
        value_waits=(),
    )
    return Settled(settled, _clocks(walk))


def _clocks(walk: _Walk) -> Clocks:
    """Share equal rows, and rank the nodes: whatever is before another has the smaller clock."""
    rows: dict[tuple[int, ...], int] = {}
    row, weight = [], []
    for node, clock in enumerate(walk.clock):
        known = clock or [0] * walk.lanes
        weight.append(sum(known))
        before = known.copy()
        before[walk.lane[node]] -= 1
        row.append(rows.setdefault(tuple(before), len(rows)))
    order = np.argsort(np.array(weight, np.int64), kind="stable")
    rank: NDArray[np.int32] = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return Clocks(
        lane=np.array(walk.lane, np.int32),
        position=np.array(walk.position, np.int32),
        row=np.array(row, np.int32),
        rows=np.array(list(rows) or [()], np.int32).reshape(max(len(rows), 1), walk.lanes),
        rank=rank,
        stuck=tuple(walk.stuck),
    )
