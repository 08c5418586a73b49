"""What of a trace and its order goes into the page, column by column.

Names stay indices into ``trace.names``; -1 stands for none. Times are ns since the first one, -1
where unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.instances import is_kind
from streamsan.traces.layout import LAYOUT_OF_KIND
from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import WORDS, Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import TEXT, Reason
from streamsan.traces.order.explain import LANE_TEXT

Column = NDArray[Any]
DIRECTIONS = ("H2D", "D2H", "D2D", "P2P", "H2H")
TIMES = ("t", "t_end", "begin", "end")


def columns_of(order: HappensBefore) -> dict[str, Column]:
    """Give the columns: those of ops, of the graph, of accesses and of buffers."""
    trace = order.trace
    return {
        "kind": trace.kind, "thread": trace.thread, "name": trace.name, "obj": trace.obj,
        "site": trace.site, "device": trace.device, "engine": engines(trace),
        "opNode": order.graph.op_node,
        **_times(trace), **_graph(order), **_accesses(trace),
    }  # fmt: skip


def vocabulary(order: HappensBefore) -> dict[str, Any]:
    """Give the tables that the columns refer to."""
    graph, trace = order.graph, order.trace
    return {
        "ops": len(trace),
        "names": list(trace.names),
        "words": list(WORDS),
        "sites": [list(site) for site in trace.header.sites],
        "lanes": [
            {"label": label, "line": line.name.lower(), "words": LANE_TEXT[line].words,
             "rule": LANE_TEXT[line].rule}
            for label, line in zip(graph.lane_label, graph.lane_line, strict=True)
        ],
        "reasons": [{"words": TEXT[r].words, "rule": TEXT[r].rule} for r in Reason],
        "engines": [f"{direction}, device {{}}" for direction in DIRECTIONS],
        "quiet": [int(Kind.EVENT_RECORD), int(Kind.STREAM_WAIT_EVENT)],
        "spaces": list(trace.buffers.space),
    }  # fmt: skip


def _times(trace: Trace) -> dict[str, Column]:
    """Give the times that any op has, as ns since the first of all."""
    given = {key: np.asarray(getattr(trace, key)) for key in TIMES}
    known = [column[column != NONE] for column in given.values()]
    first = min((int(column.min()) for column in known if len(column)), default=0)
    return {
        key: np.where(column == NONE, -1, column - first)
        for key, column in given.items()
        if (column != NONE).any()
    }


def _graph(order: HappensBefore) -> dict[str, Column]:
    graph = order.graph
    _, sorted_edges = graph.incoming
    moved = sorted(graph.access_node.items())
    unbound = np.full(len(order.trace), -1, np.int64)
    for wait, bound in graph.binding.items():
        unbound[wait] = bound
    return {
        "nodeLane": graph.node_lane,
        "nodeOp": graph.node_op,
        "edgeSource": graph.edge_source[sorted_edges],
        "edgeTarget": graph.edge_target[sorted_edges],
        "edgeReason": graph.edge_reason[sorted_edges],
        "edgeVia": graph.edge_via[sorted_edges],
        "binding": unbound,
        "movedAccess": np.array([access for access, _ in moved], np.int64),
        "movedNode": np.array([node for _, node in moved], np.int64),
    }


def _accesses(trace: Trace) -> dict[str, Column]:
    ranges, buffers = trace.ranges, trace.buffers
    return {
        "accessStart": trace.access_start,
        "accessRange": trace.access_range,
        "accessMode": trace.access_mode,
        "accessBuffer": buffers.of_access,
        "rangeOffset": ranges.offset,
        "rangeLength": ranges.length,
        "bufferName": buffers.name,
        "bufferSize": buffers.size,
        "bufferMalloc": buffers.malloc,
        "bufferFree": buffers.free,
    }


def engines(trace: Trace) -> Column:
    """Give the copy engine of each op: its direction's place in ``DIRECTIONS``; -1 for none.

    What a copy says of itself holds; else its direction follows from the memories at its ends.
    """
    found = np.full(len(trace), -1, np.int64)
    at = np.flatnonzero(is_kind(trace.kind, Kind.MEMCPY))
    if not len(at):
        return found
    host = np.array([space in ("pinned", "pageable") for space in trace.buffers.space], bool)
    first = trace.access_start[at]
    ends = [host[trace.buffers.of_access[first + side]] for side in (0, 1)]
    told = np.select(
        [ends[0] & ends[1], ends[0], ends[1]],
        [DIRECTIONS.index("H2H"), DIRECTIONS.index("H2D"), DIRECTIONS.index("D2H")],
        DIRECTIONS.index("D2D"),
    )
    bits = LAYOUT_OF_KIND[Kind.MEMCPY].bits
    place = next(i for i, (name, _) in enumerate(bits) if name == "kind")
    codes = [-1, *(DIRECTIONS.index(str(choice)) for choice in bits[place][1])]
    given = np.array(codes + [-1] * 16)[(trace.bits[at] >> (4 * place)) & 15]
    found[at] = np.where(given >= 0, given, told)
    return found
