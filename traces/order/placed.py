"""Accesses placed in the order: which bytes each node touches.

An access is a **place** (the distinct range of a buffer), a node and a mode. Overlap is decided
between places, of which there are few, and never again between accesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.layout import ESCAPE, MENTION, WRITE
from streamsan.traces.model import WHOLE, Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order.clocks import Clocks
from streamsan.traces.order.graph import Graph
from streamsan.traces.ranges import intersection, intervals

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Pieces = tuple[Longs, Longs]


@dataclass(frozen=True, eq=False)
class Places:
    """Distinct (buffer, range) pairs; ``low`` and ``high`` are bytes of the base."""

    trace: Trace
    buffer: Ints
    range: Ints
    base: Ints
    low: Longs
    high: Longs

    def __len__(self) -> int:
        """Count the places."""
        return len(self.buffer)

    def pieces(self, place: int) -> Pieces:
        """Give the exact bytes of a place, as sorted intervals of its base."""
        ranges = self.trace.ranges
        view = int(ranges.strided[self.range[place]])
        if view < 0:
            low, high = int(self.low[place]), int(self.high[place])
            empty = low >= high
            return (
                np.array([] if empty else [low], np.int64),
                np.array([] if empty else [high], np.int64),
            )
        start, stop = intervals(ranges.views[view])
        shift = int(self.trace.buffers.start[self.buffer[place]])
        return start + shift, stop + shift

    def overlap(self, a: int, b: int) -> tuple[int, int] | None:
        """Give the smallest span, in bytes of the base, that two places share; None if none."""
        if self.base[a] != self.base[b]:
            return None
        low, high = max(self.low[a], self.low[b]), min(self.high[a], self.high[b])
        if low >= high:
            return None
        strided = self.trace.ranges.strided
        if strided[self.range[a]] < 0 and strided[self.range[b]] < 0:
            return int(low), int(high)
        return intersection(self.pieces(a), self.pieces(b))


@dataclass(frozen=True, eq=False)
class Placed:
    """Accesses in an order of execution, an op's reads before its writes."""

    node_op: Ints
    """The op of each node of the graph."""
    node: Ints
    place: Ints
    write: NDArray[np.bool_]
    escape: NDArray[np.bool_]
    places: Places
    given: NDArray[Any] | None
    """``source``, where it is not simply 0, 1, 2, ..."""

    def __len__(self) -> int:
        """Count the accesses."""
        return len(self.node)

    @cached_property
    def op(self) -> Ints:
        """The op of each access."""
        return self.node_op[self.node]

    @cached_property
    def source(self) -> NDArray[Any]:
        """Its index into the trace's accesses (of a captured access: the capture's)."""
        return np.arange(len(self), dtype=np.int32) if self.given is None else self.given

    @cached_property
    def buffer(self) -> Ints:
        """The buffer of each access."""
        return self.places.buffer[self.place]


def place_accesses(trace: Trace, graph: Graph, clocks: Clocks) -> Placed:
    """Place every access that happens: not mentions, and captured ones at their launches."""
    node = np.repeat(graph.op_node, np.diff(trace.access_start))
    if graph.access_node:
        node[list(graph.access_node)] = list(graph.access_node.values())
    mode, (place, places) = trace.access_mode, _places(trace)
    source: NDArray[Any] | None = None
    happens = _happening(trace, graph)
    if happens is not None:
        source, launches = happens
        node, mode, place = node[source], mode[source], place[source]
        if len(launches):
            node[-len(launches) :] = graph.op_node[launches]
    order = _order(clocks, node, mode == WRITE, moved=bool(graph.access_node or graph.captured))
    if order is not None:
        node, mode, place = node[order], mode[order], place[order]
        source = order if source is None else source[order]
    return Placed(graph.node_op, node, place, mode == WRITE, mode == ESCAPE, places, source)


def _happening(trace: Trace, graph: Graph) -> tuple[Ints, Ints] | None:
    """Give the accesses that happen, those captured last, and the launches of those.

    None where each access of the trace happens once, at its op.
    """
    captures = trace.kind == Kind.GRAPH_CAPTURE
    if not bool(captures.any()) and trace.access_mode.max(initial=0) < MENTION:
        return None
    runs = ~captures[trace.access_op] & (trace.access_mode != MENTION)
    source = np.flatnonzero(runs).astype(np.int32)
    launches, captured = _captured(trace, graph)
    return np.concatenate([source, captured]), launches


def _order(
    clocks: Clocks, node: Ints, write: NDArray[np.bool_], *, moved: bool
) -> NDArray[np.intp] | None:
    """Sort by execution; None where the accesses stand so already."""
    rank = node if clocks.rank is None else clocks.rank[node]
    if clocks.rank is None and not moved and bool(np.all(rank[1:] >= rank[:-1])):
        same = rank[1:] == rank[:-1]
        if not bool(np.any(same & write[:-1] & ~write[1:])):
            return None
    return np.lexsort((write, rank))


def _captured(trace: Trace, graph: Graph) -> list[Ints]:
    ops, sources = [], []
    for launch, capture in graph.captured.items():
        for access in captured_accesses(trace, capture):
            ops.append(launch)
            sources.append(access)
    return [np.array(ops, np.int32), np.array(sources, np.int32)]


def captured_accesses(trace: Trace, capture: int) -> range:
    """Give the accesses that a capture holds."""
    return range(int(trace.access_start[capture]), int(trace.access_start[capture + 1]))


def _places(trace: Trace) -> tuple[Ints, Places]:
    """Number the distinct (buffer, range) pairs; give the place of each access too."""
    ranges, buffers, index = trace.ranges, trace.buffers, trace.access_range
    of_name = np.zeros(len(trace.names), np.int32)
    of_name[buffers.name] = np.arange(len(buffers))
    if bool(np.all(of_name[buffers.name] == np.arange(len(buffers)))):  # no name is used again
        place, buffer, given = index, of_name[ranges.name], np.arange(len(ranges))
    else:
        key = buffers.of_access.astype(np.int64) * len(ranges) + index
        unique, inverse = np.unique(key, return_inverse=True)
        place = inverse.astype(np.int32)
        buffer, given = (unique // len(ranges)).astype(np.int32), unique % len(ranges)
    of_range: Ints = given.astype(np.int32)
    if not len(buffers):
        empty = np.zeros(0, np.int64)
        return place, Places(trace, buffer[:0], of_range[:0], buffer[:0], empty, empty)
    length, start = ranges.length[of_range], buffers.start[buffer]
    low = start + ranges.offset[of_range]
    high = np.where(length == WHOLE, start + buffers.extent[buffer], low + length)
    return place, Places(trace, buffer, of_range, buffers.base[buffer], low, high)
