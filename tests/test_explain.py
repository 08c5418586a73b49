"""Why two ops are ordered, what almost ordered them, and what comes before both."""

from __future__ import annotations

import time

import networkx as nx
import pytest
from oracle import Oracle
from strategies import random_trace

from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.explain import Near, last_common, nearly, why
from streamsan.traces.text import parse


def order_of(text: str) -> HappensBefore:
    """Give the order of a program in the mini-language."""
    return HappensBefore(parse(text), engine="python")


def told(text: str, a: int, b: int) -> list[tuple[int, int, str]]:
    """Give a chain as (op, op, rule)."""
    return [(s.source_op, s.target_op, s.rule) for s in why(order_of(text), a, b)]


@pytest.mark.parametrize(
    ("text", "a", "b", "chain"),
    [
        ("s: launch; s: launch; s: launch", 0, 2, [(0, 2, "R1")]),
        ("mark; mark", 0, 1, [(0, 1, "R2")]),
        ("s: launch; r: launch", 0, 1, []),
        ("s: launch; mark", 1, 0, []),
        ("host_write h; s: launch", 0, 1, [(0, 1, "R2")]),
        (
            "a: launch; a: launch; a: record e; b: launch; b: wait e; b: launch; b: launch",
            0, 6,
            [(0, 2, "R1"), (2, 4, "R6"), (4, 6, "R1")],
        ),
        ("a: launch; a: record e; sync e; b: launch", 0, 3, [(0, 1, "R1"), (1, 2, "R7"),
                                                             (2, 3, "R2")]),
        ("a: launch; stream_sync a; mark", 0, 2, [(0, 1, "R9"), (1, 2, "R2")]),
        ("T2: mark; T2: signal k; await k", 0, 2, [(0, 1, "R2"), (1, 2, "R50")]),
        ("0: launch; ptds: launch", 0, 1, [(0, 1, "R11")]),
        ("a: graph_launch g; b: graph_launch g", 0, 1, [(0, 1, "R33")]),
        ("a: wait_value x 1; a: launch; c: write_value x 1", 2, 1, [(2, 0, "R45"), (0, 1, "R1")]),
        # a record comes after its own call, though it does not pass that on
        ("mark; host_write h; s: record e", 0, 2, [(0, 1, "R2"), (1, 2, "R2")]),
        # the host wait is the shorter way, not the chain of events
        (
            ("a: launch; a: record e; b: wait e; b: record f; c: wait f; c: record g; d: wait g; "
            "stream_sync a; d: launch"),
            0, 8,
            [(0, 1, "R1"), (1, 7, "R9"), (7, 8, "R2")],
        ),
    ],
)  # fmt: skip
def test_why(text: str, a: int, b: int, chain: list[tuple[int, int, str]]) -> None:
    assert told(text, a, b) == chain


def test_why_prefers_fewer_edges_over_an_earlier_one() -> None:
    # from m two edges lead to b: the first of them leaves before the short way in arrives
    text = """
        a: launch; a: record e
        x: wait e; x: record f
        m: wait f; m: record g; m: wait e; m: record h
        b: wait g; b: wait h; b: launch
    """

    assert told(text, 0, 10) == [
        (0, 1, "R1"), (1, 6, "R6"), (6, 7, "R1"), (7, 9, "R6"), (9, 10, "R1"),
    ]  # fmt: skip


def test_a_step_reads_well() -> None:
    steps = why(order_of('s1: launch "fill\\u001b" w=a; s1: record e; s2: wait e'), 0, 2)

    assert [str(step) for step in steps] == [
        'op 0 launch "fill\\u001b" on s1 -> op 1 event_record on s1: stream order (R1)',
        (
            "op 1 event_record on s1 -> op 2 stream_wait_event on s2: "
            "the stream waits for the event (R6)"
        ),
    ]
    assert steps[1].via == 1


def test_why_takes_single_accesses() -> None:
    order = order_of("malloc p pageable 8; s: memcpy p -> a; host_write p")

    assert [s.rule for s in why(order, (1, 0), 2)] == ["R2"]
    assert why(order, (1, 1), 2) == []
    assert why(order, 1, 2) == []


def test_every_chain_is_a_shortest_path_of_the_graph() -> None:
    chains = 0
    for seed in range(150):
        order = HappensBefore(random_trace(seed), engine="python")
        graph = order.to_networkx()
        for source, target, data in graph.edges(data=True):
            lanes = {order.graph.node_lane[n] for n in (source, target)}
            data["cost"] = int(len(lanes) == 2)
        ops = len(order.trace)
        for k in range(40):
            a, b = (seed * 7 + k) % ops, (seed + k * 5) % ops
            x, y = order.main_node(a), order.main_node(b)
            steps = why(order, a, b)
            if not steps or not order.clocks.is_before(x, y):
                continue
            chains += 1
            along = ("stream order", "program order of the host thread", ("tasks run one after "
                     "another"), "order of the agent's accesses")  # fmt: skip
            crossings = sum(step.words not in along for step in steps)
            assert crossings == nx.shortest_path_length(graph, x, y, weight="cost"), (seed, a, b)
    assert chains > 500


NEAR = [
    (
        "s1: launch r=a; s1: record e; s2: record e; s3: wait e; s3: launch w=a", 0, 4,
        ("wrong generation", 3, 2, 1), "the one at op 1, which covers op 0, had been replaced",
    ),
    (
        "s1: record e; s3: record e; s1: launch w=a; s2: wait e; s1: record e; s2: launch r=a", 2,
        5, ("wrong generation", 3, 1, 4), "was made only later",
    ),
    ("s1: launch w=a; s2: wait e; s2: launch r=a", 0, 2, ("unrecorded", 1, None, None), "nothing"),
    (
        "s1: launch w=a; s2: wait e; s1: record e; s2: launch r=a", 0, 3,
        ("unrecorded", 1, None, 2), "op 2 records it only later",
    ),
    (
        "s1: record e; s1: launch w=a; s2: wait e; s2: launch r=a", 1, 3,
        ("recorded too early", 2, 0, None), "op 0 recorded it before op 1 was issued",
    ),
    (
        "s1: record e; s1: launch w=h; sync e; host_read h", 1, 3,
        ("recorded too early", 2, 0, None), "host:main",
    ),
    (
        "s1: record e; s1: launch w=a; sync e; s2: launch r=a", 1, 3,
        ("recorded too early", 2, 0, None), "host:main",
    ),
    (
        "s1: launch w=a; s3: record e; s2: wait e; s2: launch r=a", 0, 3,
        ("wrong stream", 2, 1, None), "waits for s3, but op 0 is on s1",
    ),
    (
        "s1: launch w=h; stream_sync s2; host_read h", 0, 2,
        ("wrong stream", 1, None, None), "waits for s2, but op 0 is on s1",
    ),
    (
        "s1: launch w=h; device_sync 1; host_read h", 0, 2,
        ("wrong stream", 1, None, None), "waits for device 1, but op 0 is on s1",
    ),
    (
        "s1: launch w=a; s1: record e; s3: wait e; s2: launch r=a", 0, 3,
        ("waited for elsewhere", 2, 1, None), "only s3 does",
    ),
    (
        "s1: launch w=h; T2: stream_sync s1; host_read h", 0, 2,
        ("waited for elsewhere", 1, None, None), "only host:T2 does",
    ),
    (
        "s1: launch w=a; s1: record e; s2: launch r=a; s2: wait e", 0, 2,
        ("too late", 3, 1, None), "stands after op 2",
    ),
    ("s1: launch w=h; host_read h; stream_sync s1", 0, 1, ("too late", 2, None, None), "after"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "a", "b", "wanted", "words"), NEAR)
def test_nearly(
    text: str, a: int, b: int, wanted: tuple[str, int, int | None, int | None], words: str
) -> None:
    near = nearly(order_of(text), a, b)

    assert near is not None
    assert (near.kind, near.wait, near.record, near.covering) == wanted
    assert words in near.words
    assert isinstance(near, Near)


def test_nothing_is_near_where_nobody_waits_or_all_is_ordered() -> None:
    assert nearly(order_of("s1: launch w=a; s2: launch r=a"), 0, 1) is None
    assert nearly(order_of("s1: launch w=a; s1: launch r=a"), 0, 1) is None


def test_a_wait_of_an_earlier_round_is_the_last_resort() -> None:
    loop = "s1: launch w=a; s1: record e; s2: wait e; s2: launch r=a; "
    near = nearly(order_of(loop + "s1: launch w=a; s2: launch r=a; stream_sync s1"), 4, 5)

    assert near is not None
    assert (near.kind, near.wait) == ("too late", 6)


@pytest.mark.parametrize(
    ("text", "a", "b", "op"),
    [
        ("s: launch; r: launch", 0, 1, None),
        ("mark; s: launch; r: launch", 1, 2, 0),
        ("mark; mark; s: launch; mark; r: launch", 2, 4, 1),
        ("s: launch; s: record e; r: wait e; s: launch; r: launch", 3, 4, 1),
        ("s: launch; s: launch; s: launch", 1, 2, 0),
    ],
)
def test_last_common(text: str, a: int, b: int, op: int | None) -> None:
    assert last_common(order_of(text), a, b) == op


def test_the_last_common_op_comes_before_both_and_before_no_other() -> None:
    found = 0
    for seed in range(200):
        order = HappensBefore(random_trace(seed), engine="python")
        oracle = Oracle(order)
        ops = len(order.trace)
        a, b = seed % ops, (seed * 11) % ops
        ends = [*order.nodes(a), *order.nodes(b)]
        nodes = range(len(order.graph.node_op))
        common = {n for n in nodes if all(oracle.before(n, end) for end in ends)}
        last = {n for n in common if not any(oracle.before(n, m) for m in common)}
        want = max((int(order.graph.node_op[n]) for n in last), default=None)
        assert last_common(order, a, b) == want, seed
        found += want is not None
    assert found > 50


def test_a_long_trace_is_explained_at_once() -> None:
    ops: list[o.OpBase] = []
    for k in range(20_000):
        ops += [
            o.Launch(stream="s1", writes=("a",)),
            o.EventRecord(event=f"e{k % 7}", stream="s1"),
            o.StreamWaitEvent(event=f"e{k % 7}", stream="s2"),
            o.Launch(stream="s2", reads=("a",)),
            o.Launch(stream="s3", reads=("a",)),
        ]
    order = HappensBefore(from_ops(ops), engine="python")
    began = time.process_time()

    assert [s.rule for s in why(order, 0, 99_998)] == ["R1", "R6", "R1"]
    assert nearly(order, 50_000, 50_004) is not None
    assert last_common(order, 50_000, 50_004) is None
    assert time.process_time() - began < 1
