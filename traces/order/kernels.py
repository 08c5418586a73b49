"""The two kernels that make and close a graph: ``Lowering`` and ``close``, in machine code.

No other module imports numba. Every array is contiguous and always of the same type, so that each
kernel is compiled for one signature only. A kernel never makes an array longer: a name that may
stand for two arrays costs a count of references at each step, five times the work itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from streamsan.traces.order.compiled_actions import Action
from streamsan.traces.order.edges import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

Ints = NDArray[np.int32]
Indices = NDArray[np.uint32]
"""Numbers used as indices: as unsigned ones they need no test for an index from the end."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call; keep the result on disk where some folder can be written."""
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True)(function)
    except RuntimeError:  # numba: "no locator available" for a read-only installation
        compiled = numba.njit(function)
    return compiled


# Plain integers: numba takes them as constants.
WAIT, RECORD, COPY_RETURNS = int(Action.WAIT), int(Action.RECORD), int(Action.COPY_RETURNS)
EVENT_SYNC, EVENT_QUERY = int(Action.EVENT_SYNC), int(Action.EVENT_QUERY)
STREAM_SYNC, STREAM_QUERY = int(Action.STREAM_SYNC), int(Action.STREAM_QUERY)
FORGET, NO_RECORD = int(Action.FORGET), -2
BY_WAIT, BY_ISSUE, BY_LEGACY = int(Reason.EVENT_WAIT), int(Reason.ISSUE), int(Reason.LEGACY)
BY_COPY, BY_EVENT, BY_QUERY = int(Reason.COPY_RETURNS), int(Reason.EVENT_SYNC), int(Reason.QUERY)
BY_STREAM = int(Reason.STREAM_SYNC)


@kernel
def lower_ops(  # noqa: C901, PLR0912, PLR0915, PLR0917
    begin: int,
    stop: int,
    action: NDArray[np.uint8],
    stream_of: Indices,
    thread_of: Indices,
    obj: Indices,
    tail: Ints,
    issued: Ints,
    record: Ints,
    binding: Ints,
    op_node: Ints,
    domain_start: Indices,
    domain: Indices,
    legacy: NDArray[np.uint8],
    node_lane: Ints,
    node_op: Ints,
    nodes: int,
    edge_source: Ints,
    edge_target: Ints,
    edge_reason: Ints,
    edge_via: Ints,
    edges: int,
) -> tuple[int, int]:
    """Lower ops ``begin`` to ``stop``, none of them ``PYTHON``: see the methods of ``Lowering``.

    ``domain``: the streams whose tails an action on a stream first waits for (R11), by stream.
    The columns of nodes and edges have room for what the ops can need. Gives how many nodes and
    edges there are now.
    """
    table = (edge_source, edge_target, edge_reason, edge_via)
    for op in range(begin, stop):
        code, thread = action[op], thread_of[op]
        source, via, first, last = -1, -1, 0, 0
        if code in (WAIT, EVENT_SYNC, EVENT_QUERY):
            source = max(record[obj[op]], -1)
            if source >= 0:
                via = node_op[source]
            binding[op] = via
        op_node[op] = node = nodes
        nodes += 1
        node_op[node] = op
        if code <= COPY_RETURNS:
            stream = stream_of[op]
            node_lane[node] = stream
            if code == WAIT and source < 0:
                tail[stream] = node
                continue
            for k in range(domain_start[stream], domain_start[stream + 1]):
                if tail[domain[k]] >= 0:
                    edges = _edge(table, edges, tail[domain[k]], node, BY_LEGACY, -1)
            tail[stream] = node
            if code == RECORD:
                record[obj[op]] = node
                continue
            if issued[stream] != tail[thread]:
                issued[stream] = tail[thread]
                if tail[thread] >= 0:
                    edges = _edge(table, edges, tail[thread], node, BY_ISSUE, -1)
            if code == WAIT:
                edges = _edge(table, edges, source, node, BY_WAIT, via)
            elif code == COPY_RETURNS:
                edges = _edge(table, edges, node, nodes, BY_COPY, -1)
                node_lane[nodes] = thread
                node_op[nodes] = op
                tail[thread] = nodes
                nodes += 1
            continue
        node_lane[node] = thread
        tail[thread] = node
        reason = BY_EVENT
        if code in (STREAM_SYNC, STREAM_QUERY):
            stream = stream_of[op]
            source = tail[stream]
            if legacy[stream]:
                first, last = domain_start[stream], domain_start[stream + 1]
            reason = BY_STREAM
        if code in (EVENT_QUERY, STREAM_QUERY):
            reason = BY_QUERY
        if source >= 0:
            edges = _edge(table, edges, source, node, reason, via)
        for k in range(first, last):
            if tail[domain[k]] >= 0:
                edges = _edge(table, edges, tail[domain[k]], node, reason, -1)
        if code == FORGET:
            record[obj[op]] = NO_RECORD
    return nodes, edges


@kernel
def _edge(  # noqa: PLR0917
    table: tuple[Ints, Ints, Ints, Ints], at: int, source: int, target: int, reason: int, via: int
) -> int:
    table[0][at] = source
    table[1][at] = target
    table[2][at] = reason
    table[3][at] = via
    return at + 1


@kernel
def close_nodes(  # noqa: PLR0917
    node: int,
    edge: int,
    lane: Indices,
    source: Indices,
    target: Indices,
    position: Ints,
    row_of: Indices,
    lane_row: Indices,
    lane_count: Ints,
    rows: NDArray[np.int32],
    count: int,
) -> tuple[int, int, int]:
    """Give nodes from ``node`` on their position and row: the steps of ``ClockMaker.place``.

    The edges are sorted by target. Stops where ``rows`` is full; gives where, as node, edge and
    rows in use.
    """
    lanes = rows.shape[1]
    while node < len(lane):
        mine = lane[node]
        row = lane_row[mine]
        if edge < len(target) and target[edge] == node:
            if count == len(rows):
                break
            while edge < len(target) and target[edge] == node:
                other = source[edge]
                edge += 1
                from_lane, reached = lane[other], position[other]
                if from_lane == mine or rows[row, from_lane] >= reached:
                    continue
                if row == lane_row[mine]:
                    for i in range(lanes):
                        rows[count, i] = rows[row, i]
                    row = np.uint32(count)
                    count += 1
                theirs = row_of[other]
                for i in range(lanes):
                    rows[row, i] = max(rows[row, i], rows[theirs, i])
                rows[row, from_lane] = max(rows[row, from_lane], reached)
            lane_row[mine] = row
        lane_count[mine] += 1
        position[node] = lane_count[mine]
        row_of[node] = row
        node += 1
    return node, edge, count
