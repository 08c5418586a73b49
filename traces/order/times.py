"""The order held against the clock: does a recorded time contradict it.

Where hb(x, y) holds, x has completed before y starts, so no device time may say otherwise. Times
never make an order (R26): they can only show that one is wrong, and with it a rule or a recorder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.model import NONE
from streamsan.traces.ops import Kind
from streamsan.traces.order.edges import Line
from streamsan.traces.order.happens_before import HappensBefore

Longs = NDArray[np.int64]
_WAITS = (Kind.EVENT_SYNCHRONIZE, Kind.STREAM_SYNCHRONIZE, Kind.DEVICE_SYNCHRONIZE)


@dataclass(frozen=True)
class Contradiction:
    """An op that began, or a wait that returned, ``by`` ns before one that had to be over."""

    first: int
    second: int
    by: int


@dataclass(frozen=True)
class Held:
    """What became of the comparison.

    Args:
        checked: ops with a time that come after an op with one.
        closest: the smallest gap in ns between what had to be over and such an op; below 0 where
            it was not over yet. None if nothing was checked.
        contradictions: where the gap is below minus the tolerance, in trace order.
    """

    checked: int
    closest: int | None
    contradictions: tuple[Contradiction, ...]


def hold_against_times(order: HappensBefore, tolerance: int = 0) -> Held:
    """Compare the device times of all ordered pairs, and when waits of the host returned.

    Only the latest end among all that comes before an op is looked at: it decides for the others.

    Args:
        order: the order of a trace.
        tolerance: ns by which two times may be off: rounding, the clocks of several devices.
    """
    nodes, due = _due(order)
    latest, whose = _latest_end_before(order, nodes)
    known = whose >= 0
    nodes, gap, whose = nodes[known], (due - latest)[known], whose[known]
    ops = order.graph.node_op[nodes]
    late = np.flatnonzero(gap < -tolerance)
    found = [Contradiction(int(whose[i]), int(ops[i]), -int(gap[i])) for i in late]
    return Held(
        len(nodes),
        int(gap.min()) if len(gap) else None,
        tuple(sorted(found, key=lambda each: each.second)),
    )


def _due(order: HappensBefore) -> tuple[Longs, Longs]:
    """Give the nodes with a time, and by when what comes before them had to be over."""
    trace, graph = order.trace, order.graph
    ops = np.arange(len(trace))
    nodes = graph.op_node.astype(np.int64)
    on_stream = _line(order, nodes) == Line.STREAM
    waits = np.isin(trace.kind, _WAITS)
    due = np.where(on_stream, trace.begin, np.where(waits, trace.t_end, NONE))
    chosen = ops[(nodes >= 0) & (due != NONE)]
    return nodes[chosen], due[chosen]


def _line(order: HappensBefore, nodes: Longs) -> NDArray[np.int64]:
    lines = np.array(order.graph.lane_line, np.int64)
    return lines[order.graph.node_lane[nodes]]


def _latest_end_before(order: HappensBefore, nodes: Longs) -> tuple[Longs, Longs]:
    """Give the latest end among device ops that come before each node, and whose it is, or -1.

    A clock says up to which position of each lane all comes before a node, so the running maximum
    of a lane's ends answers for the whole lane at once.
    """
    graph, clocks = order.graph, order.clocks
    latest = np.full(len(nodes), NONE, np.int64)
    whose = np.full(len(nodes), -1, np.int64)
    for lane, line in enumerate(graph.lane_line):
        if line is not Line.STREAM:
            continue
        ends, owners = _running_maximum(order, lane)
        upto = clocks.rows[clocks.row[nodes], lane].astype(np.int64)
        own = clocks.lane[nodes] == lane
        upto[own] = clocks.position[nodes[own]] - 1
        later = ends[upto] > latest
        latest[later], whose[later] = ends[upto[later]], owners[upto[later]]
    return latest, whose


def _running_maximum(order: HappensBefore, lane: int) -> tuple[Longs, Longs]:
    """Give the latest end up to each position of a lane, from 0 for none, and whose it is."""
    trace, graph, clocks = order.trace, order.graph, order.clocks
    nodes = np.flatnonzero(graph.node_lane == lane)
    nodes = nodes[np.argsort(clocks.position[nodes])]
    ops = graph.node_op[nodes]
    known = graph.op_node[ops] == nodes
    ends = np.full(len(nodes) + 1, NONE, np.int64)
    ends[1:][known] = trace.end[ops[known]]
    highest = np.maximum.accumulate(ends)
    fresh = np.flatnonzero(ends == highest)
    first = fresh[np.searchsorted(fresh, np.arange(len(ends)), side="right") - 1]
    owners = np.concatenate([[-1], ops])[first]
    return highest, np.where(highest == NONE, -1, owners)
