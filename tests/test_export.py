"""The graph of an order, for other tools."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import random_trace

from streamsan.traces import UsageError
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.export import around, to_networkx, write_graph
from streamsan.traces.text import parse

PROGRAM = """
    host_write h
    s1: memcpy h -> a
    s1: record e
    s2: wait e
    s2: launch use r=a
    sync e
"""
FORMATS = ("graphml", "dot", "json")
HOSTILE = 'x"\\]]><b>&\x00\x01\x1b\n\r\t\ufffe\ud7ff\u2028{}|;'


def order_of(text: str) -> HappensBefore:
    return HappensBefore(parse(text), engine="python")


def written(order: HappensBefore, fmt: str) -> str:
    stream = io.StringIO()
    write_graph(to_networkx(order), fmt, stream)
    return stream.getvalue()


def test_nodes_and_edges_say_what_they_are() -> None:
    graph = order_of(PROGRAM).to_networkx()

    assert graph.nodes[2] == {
        "op": 2, "word": "event_record", "name": "event_record", "lane": "s1", "line": "stream",
        "event": "e",
    }  # fmt: skip
    assert graph.nodes[4]["name"] == "use"
    assert graph.nodes[0]["line"] == "thread"
    assert graph.edges[0, 1] == {"reason": "issued after", "rule": "R2"}
    assert graph.edges[1, 2] == {"reason": "stream order", "rule": "R1"}
    assert graph.edges[2, 3] == {
        "reason": "the stream waits for the event", "rule": "R6", "via": 2,
    }  # fmt: skip
    assert graph.edges[0, 5]["rule"] == "R2"


def test_attributes_are_plain_and_the_graph_has_no_circle() -> None:
    for seed in range(100):
        graph = HappensBefore(random_trace(seed), engine="python").to_networkx()
        values = [v for _, data in graph.nodes(data=True) for v in data.values()]
        values += [v for *_, data in graph.edges(data=True) for v in data.values()]
        assert {type(value) for value in values} <= {str, int}
        assert nx.is_directed_acyclic_graph(graph)


def test_around_takes_a_radius_both_ways() -> None:
    graph = order_of("; ".join(["s: launch"] * 9)).to_networkx()

    assert sorted(around(graph, 4, 0)) == [4]
    assert sorted(around(graph, 4, 2)) == [2, 3, 4, 5, 6]
    assert sorted(around(graph, 0, 99)) == list(range(9))
    with pytest.raises(UsageError, match="no op 9"):
        around(graph, 9, 1)


def test_graphml_is_read_back() -> None:
    graph = to_networkx(order_of(PROGRAM))
    again = nx.read_graphml(io.BytesIO(written(order_of(PROGRAM), "graphml").encode()))

    assert {int(n): data for n, data in again.nodes(data=True)} == {
        n: dict(data) for n, data in graph.nodes(data=True)
    }
    assert {(int(s), int(t)): d for s, t, d in again.edges(data=True)} == {
        (s, t): d for s, t, d in graph.edges(data=True)
    }


def test_json_is_node_link() -> None:
    graph = to_networkx(order_of(PROGRAM))
    found = json.loads(written(order_of(PROGRAM), "json"))

    assert [node["id"] for node in found["nodes"]] == sorted(graph)
    assert {(e["source"], e["target"]) for e in found["edges"]} == set(graph.edges)
    assert found["directed"] is True


def test_dot_has_every_node_and_edge() -> None:
    text = written(order_of(PROGRAM), "dot")

    assert text.startswith("digraph order {\n")
    assert text.endswith("}\n")
    assert len(re.findall(r"^    n\d+ \[", text, re.MULTILINE)) == 6
    assert '  n2 -> n3 [label="the stream waits for the event (R6) via 2"];\n' in text
    assert '    label="stream s1";\n' in text


def check_safe(order: HappensBefore) -> None:
    """Every writer's text is well formed, whatever the names are."""
    ET.fromstring(written(order, "graphml"))  # noqa: S314
    json.loads(written(order, "json"))
    for line in written(order, "dot").splitlines():
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
        assert '"' not in bare
        assert re.fullmatch(r"[\w\s{}\[\];=>-]*", bare), line


@given(st.text(max_size=8) | st.just(HOSTILE))
def test_hostile_names_break_no_writer(name: str) -> None:
    ops = [
        o.Launch(stream=name, name=name, thread=name),
        o.EventRecord(event=name, stream=name),
        o.StreamWaitEvent(event=name, stream="s"),
    ]
    check_safe(HappensBefore(from_ops(ops), engine="python"))


@pytest.mark.parametrize("fmt", FORMATS)
def test_empty_graphs_are_written(fmt: str) -> None:
    assert written(order_of(""), fmt)


def test_an_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="choose one of graphml, dot, json"):
        written(order_of(PROGRAM), "png")


SCRIPT = """
import sys
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.export import to_networkx, write_graph
from streamsan.traces.text import parse
for fmt in ("graphml", "dot", "json"):
    write_graph(to_networkx(HappensBefore(parse(sys.argv[1]))), fmt, sys.stdout)
"""


def test_the_output_is_the_same_in_every_process() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(3)
    }

    assert len(outputs) == 1
