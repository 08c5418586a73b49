"""The graph of an order, for other tools: networkx, GraphML, DOT and JSON.

Attributes are strings and integers only, so that every writer takes them; what is not there is
left out. Names come from the trace and may hold anything: characters that XML forbids are
replaced, and DOT strings are escaped.
"""

from __future__ import annotations

import io
import json
import re
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import networkx as nx

from streamsan.traces.errors import UsageError
from streamsan.traces.ops import Kind
from streamsan.traces.order.edges import TEXT, Reason
from streamsan.traces.order.explain import LANE_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsan.traces.order.happens_before import HappensBefore

GraphFormat = Literal["graphml", "dot", "json"]
_EVENTS = frozenset(
    int(Kind[word])
    for word in ("EVENT_RECORD", "STREAM_WAIT_EVENT", "EVENT_SYNCHRONIZE", "EVENT_QUERY")
)
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids: control characters, surrogates, U+FFFE and U+FFFF."""


def to_networkx(order: HappensBefore) -> nx.DiGraph[int]:
    """Give the graph: a node for each step of an op, an edge for each reason of the order.

    Nodes are the numbers of ``order.graph``. They carry ``op`` (id), ``word``, ``name``, ``lane``
    (its label), ``line`` (``stream``, ``thread``, ...) and, where there is one, ``event``. Edges
    carry ``reason``, ``rule`` and, where an op stands between, ``via``. Order along a lane is an
    edge too. Where two edges join the same nodes, the one between lanes is kept.
    """
    graph = order.graph
    found: nx.DiGraph[int] = nx.DiGraph()
    found.add_nodes_from((node, _attributes(order, node)) for node in range(len(graph.node_lane)))
    for node, before in enumerate(graph.previous.tolist()):
        if before >= 0:
            text = LANE_TEXT[graph.lane_line[graph.node_lane[node]]]
            found.add_edge(before, node, reason=text.words, rule=text.rule)
    columns = (graph.edge_source, graph.edge_target, graph.edge_reason, graph.edge_via)
    for source, target, reason, via in zip(*(c.tolist() for c in columns), strict=True):
        text = TEXT[Reason(reason)]
        between = {} if via < 0 else {"via": via}
        found.add_edge(source, target, reason=text.words, rule=text.rule, **between)
    return found


def _attributes(order: HappensBefore, node: int) -> dict[str, str | int]:
    graph = order.graph
    op = order.trace[int(graph.node_op[node])]
    lane = int(graph.node_lane[node])
    found: dict[str, str | int] = {
        "op": op.id,
        "word": op.word,
        "name": clean(op.name),
        "lane": clean(graph.lane_label[lane]),
        "line": graph.lane_line[lane].name.lower(),
    }
    if op.kind in _EVENTS and op.obj is not None:
        found["event"] = clean(op.obj)
    return found


def clean(text: str) -> str:
    """Replace characters that XML forbids by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def around(graph: nx.DiGraph[int], op: int, radius: int) -> nx.DiGraph[int]:
    """Give the part of the graph within ``radius`` edges, either way, of an op's nodes.

    Raises:
        UsageError: the graph has no such op.
    """
    near = {node for node, mine in graph.nodes(data="op") if mine == op}
    if not near:
        raise UsageError(f"the graph has no op {op}")
    edge = near
    for _ in range(radius):
        edge = {n for e in edge for n in (*graph.succ[e], *graph.pred[e])} - near
        if not edge:
            break
        near = near | edge
    return nx.DiGraph(graph.subgraph(sorted(near)))


def write_graph(graph: nx.DiGraph[int], fmt: str, stream: IO[str]) -> None:
    """Write a graph of ``to_networkx`` as text; the same graph gives the same text.

    Raises:
        UsageError: the format is none of ``graphml``, ``dot`` and ``json``.
    """
    if fmt == "graphml":
        buffer = io.BytesIO()
        nx.write_graphml_xml(_sorted(graph), buffer)
        stream.write(buffer.getvalue().decode("utf-8"))
    elif fmt == "json":
        json.dump(_node_link(graph), stream, indent=1)
        stream.write("\n")
    elif fmt == "dot":
        stream.writelines(f"{line}\n" for line in _dot(graph))
    else:
        known = ", ".join(get_args(GraphFormat))
        raise UsageError(f"unknown graph format {fmt[:80]!r}: choose one of {known}")


def _sorted(graph: nx.DiGraph[int]) -> nx.DiGraph[int]:
    found: nx.DiGraph[int] = nx.DiGraph()
    for node in sorted(graph):
        found.add_node(node, **graph.nodes[node])
    found.add_edges_from(sorted(graph.edges(data=True), key=lambda e: (e[0], e[1])))
    return found


def _node_link(graph: nx.DiGraph[int]) -> dict[str, Any]:
    """Give networkx's node-link form, with the edges under ``edges`` in every version of it."""
    ordered = _sorted(graph)
    return {
        "directed": True,
        "multigraph": False,
        "graph": {},
        "nodes": [{"id": node, **data} for node, data in ordered.nodes(data=True)],
        "edges": [{"source": s, "target": t, **data} for s, t, data in ordered.edges(data=True)],
    }


def _dot(graph: nx.DiGraph[int]) -> Iterator[str]:
    """Give the lines of a DOT file: one cluster a lane."""
    yield "digraph order {"
    yield "  rankdir=LR; node [shape=box];"
    ordered = _sorted(graph)
    lanes: dict[tuple[str, str], list[int]] = {}
    for node, data in ordered.nodes(data=True):
        lanes.setdefault((data["line"], data["lane"]), []).append(node)
    for number, ((line, lane), nodes) in enumerate(sorted(lanes.items())):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(f'{line} {lane}')};"
        for node in nodes:
            data = ordered.nodes[node]
            label = f"{data['op']} {data['word']}"
            if data["name"] != data["word"]:
                label += f"\n{data['name']}"
            if "event" in data:
                label += f"\n{data['event']}"
            yield f"    n{node} [label={_quoted(label)}];"
        yield "  }"
    for source, target, data in ordered.edges(data=True):
        via = f" via {data['via']}" if "via" in data else ""
        text = _quoted(f"{data['reason']} ({data['rule']}){via}")
        yield f"  n{source} -> n{target} [label={text}];"
    yield "}"


def _quoted(text: str) -> str:
    r"""Quote a DOT string. A line break is written ``\n``, as are the other control characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", escaped) + '"'
