"""Conflicts inside one graph launch: two nodes that nothing orders and that touch common bytes.

A launch is one op to the rest of the program (R33); inside, its nodes are ordered by the edges of
the capture alone. The cause is the graph: it is told at its first launch, with a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from streamsan.traces import Trace
from streamsan.traces.graph_nodes import Node, parse_node
from streamsan.traces.layout import WRITE
from streamsan.traces.ops import Kind, RangeSpec, StridedRange
from streamsan.traces.order import kind_of
from streamsan.traces.ranges import intersection, intervals

_STRENGTH = {"RAW": 0, "WAR": 1, "WAW": 2}
_FAR = 2**62


class GraphRace(NamedTuple):
    """Two nodes of one graph in conflict; ``launch`` is its first launch, ``times`` how many."""

    launch: int
    nodes: tuple[int, int]
    words: tuple[str, str]
    kind: Literal["RAW", "WAR", "WAW"]
    buffer: str
    range: tuple[int, int] | None
    times: int


def graph_races(trace: Trace) -> list[GraphRace]:
    """Give the conflicts inside the graphs of a trace."""
    launches: dict[int, list[int]] = {}
    capture_of: dict[int, int] = {}
    kinds = (Kind.GRAPH_CAPTURE, Kind.GRAPH_LAUNCH)
    for op in np.flatnonzero(np.isin(trace.kind, kinds)).tolist():
        graph = int(trace.obj[op])
        if trace.kind[op] == Kind.GRAPH_CAPTURE:
            capture_of[graph] = op
        elif graph in capture_of:
            launches.setdefault(capture_of[graph], []).append(op)
    found: list[GraphRace] = []
    for capture, ops in launches.items():
        nodes = [parse_node(raw) for raw in trace[capture].extras.get("nodes", ())]
        found.extend(race._replace(launch=ops[0], times=len(ops)) for race in _races(nodes))
    return found


def _races(nodes: Sequence[Node]) -> list[GraphRace]:
    before = _ancestors(nodes)
    found: list[GraphRace] = []
    for j, later in enumerate(nodes):
        for i, earlier in enumerate(nodes[:j]):
            if i not in before[j] and j not in before[i]:
                found.extend(_conflicts((i, j), earlier, later))
    return found


def _ancestors(nodes: Sequence[Node]) -> list[set[int]]:
    """Give, for each node, the nodes that come before it."""
    found: list[set[int]] = []
    for index in range(len(nodes)):
        seen: set[int] = set()
        todo = list(nodes[index].after)
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(nodes[node].after)
        found.append(seen)
    return found


def _conflicts(pair: tuple[int, int], earlier: Node, later: Node) -> list[GraphRace]:
    """Give the strongest conflict of two nodes on each buffer."""
    best: dict[str, GraphRace] = {}
    words = (_word(earlier), _word(later))
    for mode, spec in earlier.accesses:
        for other_mode, other in later.accesses:
            if WRITE not in (mode, other_mode) or _buffer(spec) != _buffer(other):
                continue
            span = intersection(_pieces(spec), _pieces(other))
            if span is None:
                continue
            kind = kind_of(mode == WRITE, other_mode == WRITE)
            buffer = _buffer(spec)
            known = None if span[1] == _FAR else (span[0], span[1] - span[0])
            race = GraphRace(-1, pair, words, kind, buffer, known, 1)
            if buffer not in best or _STRENGTH[kind] < _STRENGTH[best[buffer].kind]:
                best[buffer] = race
    return list(best.values())


def _word(node: Node) -> str:
    return node.op.name or str(type(node.op).__struct_config__.tag)


def _buffer(spec: RangeSpec) -> str:
    if isinstance(spec, str):
        return spec
    return spec.buffer if isinstance(spec, StridedRange) else spec[0]


def _pieces(spec: RangeSpec) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(spec, StridedRange):
        return intervals(spec)
    low, high = (0, _FAR) if isinstance(spec, str) else (spec[1], spec[1] + spec[2])
    kept = [low] if low < high else []
    return np.array(kept, np.int64), np.array([high] if kept else [], np.int64)
