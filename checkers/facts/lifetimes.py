"""Blocks of memory: their ends, and the accesses in flight then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line

_DEVICE = (Line.STREAM, Line.SIDE)


class InFlight(NamedTuple):
    """An access that may still run when its block ends; ``reuse`` is an op that meets it there."""

    access: int
    free: int
    buffer: int
    reuse: int | None


class Lifetimes:
    """Looks up the accesses of a buffer and the state of an op's line."""

    def __init__(self, order: HappensBefore) -> None:
        """Keep the order."""
        self.order = order

    @cached_property
    def _by_buffer(self) -> tuple[np.ndarray, np.ndarray]:
        buffer = self.order.placed.buffer
        order = np.argsort(buffer, kind="stable")
        start = np.searchsorted(buffer[order], np.arange(len(self.order.trace.buffers) + 1))
        return start, order

    def accesses(self, buffer: int) -> list[int]:
        """Give the placed accesses of a buffer, in order of execution."""
        start, order = self._by_buffer
        found: list[int] = order[start[buffer] : start[buffer + 1]].tolist()
        return found

    def last_on_each_line(self, buffer: int, before: int, lines: tuple[Line, ...]) -> list[int]:
        """Give the last access of a buffer on each line of some kinds, issued before an op."""
        placed, graph = self.order.placed, self.order.graph
        last: dict[int, int] = {}
        for access in self.accesses(buffer):
            lane = int(graph.node_lane[placed.node[access]])
            if placed.op[access] < before and graph.lane_line[lane] in lines:
                last[lane] = access
        return list(last.values())

    def ends(self) -> Iterator[tuple[int, int]]:
        """Give (free op, buffer) for the end of every live block."""
        trace = self.order.trace
        buffers = trace.buffers
        for op in np.flatnonzero((trace.kind == Kind.FREE) | (trace.kind == Kind.FREE_ASYNC)):
            buffer = int(buffers.of_op[op])
            if int(buffers.free[buffer]) == op and buffers.malloc[buffer] >= 0:
                yield int(op), buffer

    def over_at(self, access: int, nodes: tuple[int, ...]) -> bool:
        """Whether an access is before or at one of some nodes."""
        node = int(self.order.placed.node[access])
        return any(node == n or self.order.clocks.is_before(node, n) for n in nodes)

    @cached_property
    def device_in_flight(self) -> list[InFlight]:
        """Device memory freed under work of another stream than its owner's (SO201)."""
        trace = self.order.trace
        found: list[InFlight] = []
        for free, buffer in self.ends():
            if trace.buffers.space[buffer] in ("device", "managed"):
                found.extend(self._under_device_free(free, buffer))
        return found

    def _under_device_free(self, free: int, buffer: int) -> Iterator[InFlight]:
        graph, buffers = self.order.graph, self.order.trace.buffers
        allocator, owner = buffers.allocator[buffer], int(buffers.owner[buffer])
        over: tuple[int, ...] = (int(graph.op_node[free]),)
        if allocator in ("caching", "caching_host"):
            if owner < 0:
                return  # nothing follows from the free alone
            over = graph.owner_tail.get(free, ())
        released = graph.releases.get(buffer)
        if released is not None and released.free == free:
            over = (*over, *released.nodes)
        caching = allocator in ("caching", "caching_host")
        for access in self.last_on_each_line(buffer, free, _DEVICE):
            lane = int(graph.node_lane[self.order.placed.node[access]])
            if not (caching and lane == owner) and not self.over_at(access, over):
                yield InFlight(access, free, buffer, self._reuse(access, buffer))

    @cached_property
    def host_in_flight(self) -> list[InFlight]:
        """Host memory freed or unregistered under work in flight (SO203)."""
        trace, graph = self.order.trace, self.order.graph
        ends = [(f, b) for f, b in self.ends() if trace.buffers.space[b] in ("pinned", "pageable")]
        unregistered = np.flatnonzero(trace.kind == Kind.HOST_UNREGISTER).tolist()
        ends.extend((op, int(trace.buffers.of_op[op])) for op in unregistered)
        found: list[InFlight] = []
        for end, buffer in sorted(ends):
            over: tuple[int, ...] = (int(graph.op_node[end]),)
            released = graph.releases.get(buffer)
            if released is not None and released.free == end:
                over = (*over, *released.nodes)
            found.extend(
                InFlight(access, end, buffer, self._reuse(access, buffer))
                for access in self.last_on_each_line(buffer, end, (*_DEVICE, Line.TASK))
                if not self.over_at(access, over)
            )
        return found

    def _reuse(self, access: int, buffer: int) -> int | None:
        """Give the first conflicting use of the same memory by a later tenant, if unordered."""
        order, placed = self.order, self.order.placed
        buffers = order.trace.buffers
        end = int(buffers.free[buffer])
        same = np.flatnonzero(
            (buffers.base == buffers.base[buffer]) & (buffers.malloc > end) & (end >= 0)
        )
        place = int(placed.place[access])
        for tenant in same.tolist():
            for use in self.accesses(tenant):
                conflicts = bool(placed.write[use] or placed.write[access])
                if conflicts and placed.places.overlap(place, int(placed.place[use])) is not None:
                    return int(placed.op[use]) if order.unordered(access, use) else None
        return None
