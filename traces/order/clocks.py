"""Vector clocks: the transitive closure of a graph, in rows that change only at joins.

``row[n][lane]`` is the highest position on ``lane`` that comes before node ``n``. A lane's clock
changes only where an edge from elsewhere brings something new, so a run of launches shares one
row. ``before(a, b)`` is then one comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.graph import Graph

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Clocks:
    """The order of a graph's nodes. Positions count from 1 on each lane."""

    lane: Ints
    position: Ints
    row: Ints
    rows: Ints
    """Shape (rows, lanes)."""
    rank: Ints | None
    """Each node's place in an order of execution; None where that is the node order itself."""
    stuck: tuple[tuple[int, int], ...] = ()
    """(source, target) of edges that can never be met, as one walk came upon them."""

    def before(self, a: Any, b: Any) -> Any:
        """Whether node ``a`` has completed before node ``b`` can start; arrays work too."""
        lane_a, position_a = self.lane[a], self.position[a]
        same = lane_a == self.lane[b]
        return np.where(
            same, position_a < self.position[b], self.rows[self.row[b], lane_a] >= position_a
        )

    def is_before(self, a: int, b: int) -> bool:
        """``before`` for two nodes."""
        lane = self.lane[a]
        if lane == self.lane[b]:
            return bool(self.position[a] < self.position[b])
        return bool(self.rows[self.row[b], lane] >= self.position[a])


class ClockMaker:
    """Places nodes one at a time; a node's predecessors come first."""

    def __init__(self, graph: Graph) -> None:
        """Start with empty clocks."""
        count = len(graph.node_lane)
        self.lane: list[int] = graph.node_lane.tolist()
        self.lanes = len(graph.lane_label)
        self.position = [0] * count
        self.row = [0] * count
        self.rows: list[list[int]] = [[0] * self.lanes]
        self.lane_row = [0] * self.lanes
        self.lane_count = [0] * self.lanes

    def place(self, node: int, sources: list[int]) -> None:
        """Give a node its position and its row."""
        lane = self.lane[node]
        self.lane_count[lane] = self.position[node] = self.lane_count[lane] + 1
        row = self.lane_row[lane]
        current = self.rows[row]
        fresh: list[int] | None = None
        for source in sources:
            from_lane, position = self.lane[source], self.position[source]
            if from_lane == lane or current[from_lane] >= position:
                continue
            if fresh is None:
                fresh = current = current.copy()
            other = self.rows[self.row[source]]
            for i in range(self.lanes):
                current[i] = max(current[i], other[i])
            current[from_lane] = max(current[from_lane], position)
        if fresh is not None:
            row = self.lane_row[lane] = len(self.rows)
            self.rows.append(fresh)
        self.row[node] = row

    def finish(self, rank: Ints | None, stuck: tuple[tuple[int, int], ...] = ()) -> Clocks:
        """Freeze."""
        return Clocks(
            lane=np.array(self.lane, np.int32),
            position=np.array(self.position, np.int32),
            row=np.array(self.row, np.int32),
            rows=np.array(self.rows, np.int32).reshape(len(self.rows), self.lanes),
            rank=rank,
            stuck=stuck,
        )


def close(graph: Graph) -> Clocks:
    """Close a graph whose node order is an order of execution."""
    maker = ClockMaker(graph)
    start, order = graph.incoming
    source = graph.edge_source[order].tolist()
    starts = start.tolist()
    lane, position, row = maker.lane, maker.position, maker.row
    lane_row, lane_count = maker.lane_row, maker.lane_count
    for node in range(len(lane)):
        first, last = starts[node], starts[node + 1]
        if first == last:
            mine = lane[node]
            position[node] = lane_count[mine] = lane_count[mine] + 1
            row[node] = lane_row[mine]
        else:
            maker.place(node, source[first:last])
    return maker.finish(None)
