"""Copies at which the host waits, and the work in flight that they have to drain."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line
from streamsan.traces.order.semantics import copy_kind

WORK = (
    Kind.LAUNCH,
    Kind.MEMCPY,
    Kind.MEMSET,
    Kind.GRAPH_LAUNCH,
    Kind.HOST_FUNC,
    Kind.COLLECTIVE,
)


class Copy(NamedTuple):
    """A copy between host and device; ``buffers`` are its source and its destination.

    ``waits``: the host waits for it, by ``async`` or by a synchronise of its stream that is part
    of it. ``pageable``: its host side is pageable. ``first`` and ``last`` are the first and the
    last op in flight that must end before it can, None where there is none.
    """

    op: int
    kind: str
    buffers: tuple[int, int]
    waits: bool
    pageable: bool
    first: int | None
    last: int | None


class Blocking:
    """Looks at every copy of a trace."""

    def __init__(self, order: HappensBefore) -> None:
        """Keep the order."""
        self.order = order

    @cached_property
    def copies(self) -> list[Copy]:
        """Every copy between host and device, in issue order."""
        trace = self.order.trace
        found = []
        for op in np.flatnonzero(trace.kind == Kind.MEMCPY).tolist():
            copy = self._copy(op)
            if copy is not None:
                found.append(copy)
        return found

    def _copy(self, op: int) -> Copy | None:
        trace = self.order.trace
        view, buffers = trace[op], trace.buffers
        first = int(trace.access_start[op])
        ends = (int(buffers.of_access[first]), int(buffers.of_access[first + 1]))
        spaces = [buffers.space[end] for end in ends]
        kind = copy_kind(view.bit("kind"), *spaces)
        if kind not in ("H2D", "D2H"):
            return None
        blocks = view.bit("async_") is False or self._is_pair(op)
        pageable = spaces[0 if kind == "H2D" else 1] == "pageable"
        if not (blocks or pageable):
            return Copy(op, kind, ends, waits=False, pageable=False, first=None, last=None)
        return Copy(op, kind, ends, blocks, pageable, *self._in_flight(op))

    def _is_pair(self, op: int) -> bool:
        """The older form of a blocking copy: the thread's next op synchronises its stream.

        Both at one site (trace-format.md, detail 1); a profile without sites shows it by the calls
        alone.
        """
        trace = self.order.trace
        later = op + 1
        while later < len(trace) and trace.thread[later] != trace.thread[op]:
            later += 1
        if later == len(trace) or trace.kind[later] != Kind.STREAM_SYNCHRONIZE:
            return False
        if trace.streams.of_op[later] != trace.streams.of_op[op]:
            return False
        same_site = trace.site[op] >= 0 and trace.site[op] == trace.site[later]
        return bool(same_site) or not trace.header.complete.accesses

    @cached_property
    def _work(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """By stream: positions and ops of its work."""
        order = self.order
        node_op = order.graph.node_op
        is_work = np.isin(order.trace.kind[node_op], WORK)
        is_work &= order.graph.op_node[node_op] == np.arange(len(node_op))
        found = {}
        for lane, line in enumerate(order.graph.lane_line):
            if line is Line.STREAM:
                mine = np.flatnonzero(is_work & (order.clocks.lane == lane))
                found[lane] = (order.clocks.position[mine], node_op[mine])
        return found

    def _in_flight(self, op: int) -> tuple[int | None, int | None]:
        """Give the first and the last op that must end before a copy can, not known to be done.

        Work of other streams counts where the copy's stream has inherited a wait for it.
        """
        found = [end for ends in self._newly_known(op) for end in ends]
        return (min(found), max(found)) if found else (None, None)

    def drained_by_host(self, op: int) -> list[int]:
        """Give, for each stream with work in flight, the last op that a host wait drains."""
        return [last for _, last in self._newly_known(op)]

    def _newly_known(self, op: int) -> list[tuple[int, int]]:
        """Give, by stream, the first and last op before an op that its thread did not know of."""
        clocks = self.order.clocks
        node = int(self.order.graph.op_node[op])
        caller = self._host_before(op)
        before = clocks.rows[clocks.row[node]].copy()
        before[clocks.lane[node]] = clocks.position[node] - 1
        known = clocks.rows[clocks.row[caller]] if caller >= 0 else np.zeros_like(before)
        found: list[tuple[int, int]] = []
        for lane, (positions, ops) in self._work.items():
            low = int(np.searchsorted(positions, known[lane], side="right"))
            high = int(np.searchsorted(positions, before[lane], side="right"))
            if low < high:
                found.append((int(ops[low]), int(ops[high - 1])))
        return found

    @cached_property
    def _host_nodes(self) -> dict[int, np.ndarray]:
        graph = self.order.graph
        return {
            lane: np.flatnonzero(graph.node_lane == lane)
            for lane, line in enumerate(graph.lane_line)
            if line is Line.THREAD
        }

    def _host_before(self, op: int) -> int:
        """Give the last node of the op's thread before the op, or -1."""
        graph = self.order.graph
        lane = graph.lane_label.index(f"host:{self.order.trace[op].thread}")
        mine = self._host_nodes[lane]
        place = int(np.searchsorted(graph.node_op[mine], op)) - 1
        return int(mine[place]) if place >= 0 else -1
