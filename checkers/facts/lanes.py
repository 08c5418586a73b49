"""Looks along the lanes of the order: who knows of what, through which edges, and what is work.

A node **knows** of a place on a lane if it is at it, after it, or its clock holds it. Along a lane
what is known only grows, so the first node that knows is found by bisection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line, Reason

WORK = (
    Kind.LAUNCH,
    Kind.MEMCPY,
    Kind.MEMSET,
    Kind.GRAPH_LAUNCH,
    Kind.HOST_FUNC,
    Kind.COLLECTIVE,
)
WAITS = (Reason.EVENT_WAIT, Reason.EVENT_SYNC, Reason.STREAM_SYNC, Reason.DEVICE_SYNC)
"""The edges that a wait adds, and that go with it."""
Ints = NDArray[np.int32]


class Lanes:
    """Positions, knowledge and edges of every lane."""

    def __init__(self, order: HappensBefore) -> None:
        """Keep the order."""
        self.order = order
        self.trace = order.trace
        graph, clocks = order.graph, order.clocks
        self.line = graph.lane_line
        self.lane: list[int] = clocks.lane.tolist()
        self.position: list[int] = clocks.position.tolist()
        self.op: list[int] = graph.node_op.tolist()

    @cached_property
    def nodes(self) -> list[list[int]]:
        """The nodes of each lane; the one at position ``p`` stands at ``p - 1``."""
        lane = self.order.clocks.lane
        order = np.argsort(lane, kind="stable")
        stops = np.searchsorted(lane[order], np.arange(len(self.line) + 1)).tolist()
        return [order[a:b].tolist() for a, b in pairwise(stops)]

    @cached_property
    def _rows(self) -> list[list[int]]:
        found: list[list[int]] = self.order.clocks.rows.tolist()
        return found

    @cached_property
    def _row(self) -> list[int]:
        found: list[int] = self.order.clocks.row.tolist()
        return found

    def clock(self, node: int) -> list[int]:
        """Give what is before a node: a position on each lane. Not to be changed."""
        return self._rows[self._row[node]]

    def through(self, node: int) -> list[int]:
        """Give what is before a node or at it."""
        found = self.clock(node).copy()
        found[self.lane[node]] = self.position[node]
        return found

    def known(self, node: int, lane: int) -> int:
        """Give the last position on a lane that a node knows of, its own included."""
        return self.position[node] if self.lane[node] == lane else self.clock(node)[lane]

    def first_knowing(self, lane: int, of: int, position: int) -> int:
        """Give the first position on ``lane`` that knows of a position on ``of``; one past none."""
        if lane == of:
            return position
        return 1 + bisect_left(self.nodes[lane], position, key=lambda node: self.clock(node)[of])

    # --- edges between lanes

    @cached_property
    def _entries(self) -> list[tuple[list[int], list[int]]]:
        """By lane: positions at which edges from other lanes arrive, ascending, and the edges."""
        graph, clocks = self.order.graph, self.order.clocks
        lane, position = clocks.lane[graph.edge_target], clocks.position[graph.edge_target]
        order = np.lexsort((position, lane))
        stops = np.searchsorted(lane[order], np.arange(len(self.line) + 1)).tolist()
        return [(position[order[a:b]].tolist(), order[a:b].tolist()) for a, b in pairwise(stops)]

    @cached_property
    def source(self) -> list[int]:
        """The source node of each edge."""
        found: list[int] = self.order.graph.edge_source.tolist()
        return found

    @cached_property
    def waits(self) -> list[int]:
        """By edge: the op of the wait that adds it, -1 where no wait does."""
        graph = self.order.graph
        ops = graph.node_op[graph.edge_target]
        found: list[int] = np.where(np.isin(graph.edge_reason, WAITS), ops, -1).tolist()
        return found

    @cached_property
    def goes_with(self) -> list[int]:
        """By edge: the op of the wait without which it would not be there, -1 for none.

        Besides its own edges a wait of a stream may bring what its thread knows: the next op of the
        stream brings that itself only if the same thread issues it, and a record never does; and
        what waits for the stream in between has it from the wait alone.
        """
        graph, trace = self.order.graph, self.trace
        found = self.waits.copy()
        leaves = np.bincount(graph.edge_source, minlength=len(self.lane))
        issues = graph.edge_reason == Reason.ISSUE
        issues &= trace.kind[graph.node_op[graph.edge_target]] == Kind.STREAM_WAIT_EVENT
        for edge in np.flatnonzero(issues).tolist():
            node = int(graph.edge_target[edge])
            mine, place = self.nodes[self.lane[node]], self.position[node]
            later = self.op[mine[place]] if place < len(mine) else -1
            same_thread = later >= 0 and trace.thread[later] == trace.thread[self.op[node]]
            bare = (Kind.EVENT_RECORD, Kind.STREAM_WAIT_EVENT)
            if not same_thread or trace.kind[later] in bare or leaves[node]:
                found[edge] = self.op[node]
        return found

    @cached_property
    def unpromised(self) -> list[bool]:
        """By edge: whether no document promises it (R22, R27): nothing may be left out for it."""
        graph = self.order.graph
        found = graph.edge_reason == Reason.FREE_DRAINS
        for edge in np.flatnonzero(graph.edge_reason == Reason.COPY_RETURNS).tolist():
            found[edge] = self.trace[self.op[self.source[edge]]].bit("async_") is not False
        as_list: list[bool] = found.tolist()
        return as_list

    def entries(self, lane: int, after: int, to: int) -> Iterator[int]:
        """Go through the edges that arrive on a lane after one position, latest first."""
        positions, edges = self._entries[lane]
        low, high = bisect_right(positions, after), bisect_right(positions, to)
        return (edges[i] for i in range(high - 1, low - 1, -1))

    # --- work

    @cached_property
    def work(self) -> dict[int, tuple[Ints, Ints]]:
        """By stream: positions and ops of its work."""
        graph, clocks = self.order.graph, self.order.clocks
        is_work = np.isin(self.trace.kind[graph.node_op], WORK)
        is_work &= graph.op_node[graph.node_op] == np.arange(len(graph.node_op))
        found = {}
        for lane, line in enumerate(self.line):
            if line is Line.STREAM:
                mine = np.flatnonzero(is_work & (clocks.lane == lane))
                found[lane] = (clocks.position[mine], graph.node_op[mine])
        return found

    def work_between(self, lane: int, after: int, to: int) -> Ints:
        """Give the ops of a stream's work after one position, up to another."""
        positions, ops = self.work[lane]
        low, high = np.searchsorted(positions, np.array((after, to), positions.dtype), side="right")
        found: Ints = ops[low:high]
        return found

    # --- host threads

    @cached_property
    def thread_lanes(self) -> list[int]:
        """The lanes of host threads."""
        return [lane for lane, line in enumerate(self.line) if line is Line.THREAD]

    def host_before(self, op: int) -> int:
        """Give the last node of an op's thread before the op, -1 where there is none."""
        mine = self.nodes[self.order.thread_lanes[self.trace[op].thread]]
        place = bisect_left(mine, op, key=self.op.__getitem__) - 1
        return mine[place] if place >= 0 else -1

    @cached_property
    def ops_of_thread(self) -> dict[int, list[int]]:
        """By the name of a thread, as the trace has it: its ops."""
        thread = self.trace.thread
        order = np.argsort(thread, kind="stable")
        names, first = np.unique(thread[order], return_index=True)
        stops = [*first.tolist(), len(order)]
        return {
            int(name): order[a:b].tolist()
            for name, (a, b) in zip(names, pairwise(stops), strict=True)
        }

    def thread_after(self, op: int, thread: int | None = None) -> Iterator[int]:
        """Go through what a thread does after an op; the op's own thread by default."""
        mine = self.ops_of_thread[int(self.trace.thread[op]) if thread is None else thread]
        return (mine[i] for i in range(bisect_right(mine, op), len(mine)))
