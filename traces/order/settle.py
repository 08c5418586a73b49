"""Order the nodes of a graph whose edges may point backwards in the file.

A wait on a value, an await, a collective or a late thread start may depend on something issued
later (R45, R50, R51). Nodes are placed as soon as everything before them is: Kahn's algorithm,
lowest node first. Where nothing can move, either a value wait has a write that meets it, and what
ALL such writes come after is certain (R45), or the program hangs: the edges that can never be met
are kept as ``stuck`` (rules SO601 to SO603) and the walk goes on without them.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from streamsan.traces.order.clocks import ClockMaker, Clocks
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.graph import Graph, ValueWait


class Settled(NamedTuple):
    """A graph with its value waits resolved to edges, and its clocks."""

    graph: Graph
    clocks: Clocks


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.maker = ClockMaker(graph)
        count = len(graph.node_lane)
        start, order = graph.incoming
        sources = graph.edge_source[order].tolist()
        self.sources = [sources[start[n] : start[n + 1]] for n in range(count)]
        self.targets: list[list[int]] = [[] for _ in range(count)]
        self.missing = [0] * count
        previous = graph.previous.tolist()
        self.waits = {w.node: w for w in graph.value_waits}
        for node in range(count):
            before = [*self.sources[node], *([previous[node]] if previous[node] >= 0 else [])]
            self.missing[node] = len(before) + (node in self.waits)
            for source in before:
                self.targets[source].append(node)
        self.previous = previous
        self.placed = [-1] * count
        self.ready = [n for n in range(count) if not self.missing[n]]
        self.stuck: list[tuple[int, int]] = []
        self.met: list[tuple[int, int]] = []
        self.done = 0

    def run(self) -> None:
        heapq.heapify(self.ready)
        while True:
            self._drain()
            if self.done == len(self.placed):
                return
            if not self._meet():
                self._break()

    def _drain(self) -> None:
        while self.ready:
            node = heapq.heappop(self.ready)
            self.maker.place(node, self.sources[node])
            self.placed[node] = self.done
            self.done += 1
            for target in self.targets[node]:
                self._satisfy(target)

    def _satisfy(self, node: int) -> None:
        self.missing[node] -= 1
        if self.missing[node] == 0:
            heapq.heappush(self.ready, node)

    def _meet(self) -> bool:
        """Resolve one value wait that some placed write can meet."""
        candidates = [w for w in self.waits.values() if any(self.placed[n] >= 0 for n in w.writes)]
        if not candidates:
            unmeetable = [w for w in self.waits.values() if not w.writes]
            for wait in unmeetable:
                self._resolve(wait, [])
            return bool(unmeetable)
        for wait in candidates:
            after = self._after(wait.node)
            if all(self.placed[n] >= 0 or n in after for n in wait.writes):
                self._resolve(wait, [n for n in wait.writes if self.placed[n] >= 0])
                return True
        wait = candidates[0]
        self._resolve(wait, [n for n in wait.writes if self.placed[n] >= 0])
        return True

    def _after(self, node: int) -> set[int]:
        seen, todo = {node}, [node]
        while todo:
            for target in self.targets[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    def _resolve(self, wait: ValueWait, writes: list[int]) -> None:
        """Put what all the writes come after before the wait (R45: the meet of their clocks)."""
        del self.waits[wait.node]
        for source in self._common(writes):
            self.sources[wait.node].append(source)
            self.met.append((source, wait.node))
        self._satisfy(wait.node)

    def _common(self, writes: list[int]) -> list[int]:
        if len(writes) <= 1:
            return writes
        clocks = [self.maker.inclusive(w) for w in writes]
        meet = [min(column) for column in zip(*clocks, strict=True)]
        lane, position = self.maker.lane, self.maker.position
        return [
            n
            for n, rank in enumerate(self.placed)
            if rank >= 0 and meet[lane[n]] and position[n] == meet[lane[n]]
        ]

    def _break(self) -> None:
        """Let the lowest node that waits for ever go on, and remember for what it waited."""
        node = next(n for n, rank in enumerate(self.placed) if rank < 0)
        if node in self.waits:
            wait = self.waits.pop(node)
            self.stuck.extend((write, node) for write in wait.writes)
            self._satisfy(node)
            return
        for source in [s for s in self.sources[node] if self.placed[s] < 0]:
            self.stuck.append((source, node))
            self.sources[node].remove(source)
            self.targets[source].remove(node)
            self._satisfy(node)


def settle(graph: Graph) -> Settled:
    """Sort, resolve and close a graph; its nodes keep their numbers."""
    walk = _Walk(graph)
    walk.run()
    met = np.array(walk.met, np.int32).reshape(-1, 2)
    stuck = set(walk.stuck)
    keep = np.array(
        [
            (int(s), int(t)) not in stuck
            for s, t in zip(graph.edge_source, graph.edge_target, strict=True)
        ],
        dtype=bool,
    )
    settled = Graph(
        lane_label=graph.lane_label, lane_line=graph.lane_line, node_lane=graph.node_lane,
        node_op=graph.node_op,
        edge_source=np.concatenate([graph.edge_source[keep], met[:, 0]]),
        edge_target=np.concatenate([graph.edge_target[keep], met[:, 1]]),
        edge_reason=np.concatenate(
            [graph.edge_reason[keep], np.full(len(met), Reason.VALUE, np.uint8)]
        ),
        edge_via=np.concatenate([graph.edge_via[keep], np.full(len(met), -1, np.int32)]),
        op_node=graph.op_node, access_node=graph.access_node, captured=graph.captured,
        binding=graph.binding, releases=graph.releases, owner_tail=graph.owner_tail,
    )  # fmt: skip
    rank = np.array(walk.placed, np.int32)
    return Settled(settled, walk.maker.finish(rank, tuple(walk.stuck)))
