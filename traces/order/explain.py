"""Why one op comes before another, and what comes before both.

The clocks say THAT two nodes are ordered; these functions find a chain of edges that says why.
They walk backwards over the edges that lie between the two, so that the cost depends on the
distance and not on the trace; networkx is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streamsan.traces.order.edges import TEXT, Line, Reason, Text
from streamsan.traces.order.nearmiss import Near, nearly, op_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from streamsan.traces.order.happens_before import HappensBefore, Ref

LANE_TEXT: dict[Line, Text] = {
    Line.STREAM: TEXT[Reason.STREAM],
    Line.THREAD: TEXT[Reason.PROGRAM],
    Line.SIDE: TEXT[Reason.STREAM],
    Line.TASK: Text("tasks run one after another", "R49"),
    Line.AGENT: Text("order of the agent's accesses", "R48"),
}
"""Why the nodes of one lane are ordered."""


class Step(NamedTuple):
    """One step of a chain: ``source_op`` comes before ``target_op``, and why."""

    source_op: int
    target_op: int
    words: str
    rule: str
    via: int | None
    """The op that stands between, such as the record of a wait."""
    text: str

    def __str__(self) -> str:
        """Read the step out: both ops, each with its line, the reason and its rule."""
        return self.text


def why(order: HappensBefore, a: Ref, b: Ref) -> list[Step]:
    """Give a chain with the fewest edges from ``a`` to ``b``; empty where ``a`` is not before.

    Steps along one lane are told as one.
    """
    if a == b or not order.ordered(a, b):
        return []
    source, target = order.main_node(a), order.main_node(b)
    if order.clocks.is_before(source, target):
        return list(_steps(order, source, _chain(order, source, target), target))
    # a record: its call comes after what the thread did before, and it does not pass that on
    op = b[0] if isinstance(b, tuple) else b
    issuer = order.issuers[op]
    steps = []
    if issuer != source:
        steps = list(_steps(order, source, _chain(order, source, issuer), issuer))
    return [*steps, _step(order, issuer, target, TEXT[Reason.ISSUE])]


def _chain(order: HappensBefore, source: int, target: int) -> list[int]:
    """Give the edges of a shortest chain; the lanes between them are implied.

    Breadth first, backwards: reaching a node reaches everything before it on its lane, so the
    state is one node a lane.
    """
    graph, lane = order.graph, order.graph.node_lane
    useful = _between(order, source, target)
    lane_of_target = lane[graph.edge_target[useful]]
    reached: dict[int, int] = {int(lane[target]): target}
    frontier: dict[int, tuple[int, tuple[int, ...]]] = {int(lane[target]): (target, ())}
    explored: dict[int, int] = {}
    while frontier:
        step: dict[int, tuple[int, tuple[int, ...]]] = {}
        for mine, (node, chain) in frontier.items():
            if mine == lane[source]:
                return list(chain)
            edges = useful[lane_of_target == mine]
            targets = graph.edge_target[edges]
            edges = edges[(targets <= node) & (targets > explored.get(mine, -1))]
            explored[mine] = node
            for edge in edges.tolist():
                start = int(graph.edge_source[edge])
                other = int(lane[start])
                best = step[other][0] if other in step else reached.get(other, -1)
                if start > best:
                    step[other] = (start, (edge, *chain))
        for other, (node, _) in step.items():
            reached[other] = node
        frontier = step
    raise AssertionError("ordered nodes have a chain")


def _between(order: HappensBefore, source: int, target: int) -> NDArray[np.intp]:
    """Give the edges whose source is at or after one node and whose target at or before another."""
    graph, clocks = order.graph, order.clocks
    starts, ends = graph.edge_source, graph.edge_target
    mine = clocks.rows[clocks.row[target]].copy()
    mine[clocks.lane[target]] = clocks.position[target]
    near = np.flatnonzero(clocks.position[ends] <= mine[clocks.lane[ends]])
    after = clocks.before(source, starts[near]) | (starts[near] == source)
    found: NDArray[np.intp] = near[after]
    return found


def _steps(order: HappensBefore, source: int, chain: list[int], target: int) -> Iterator[Step]:
    graph, node = order.graph, source
    for edge in chain:
        start, end = int(graph.edge_source[edge]), int(graph.edge_target[edge])
        if start != node:
            yield _along(order, node, start)
        via = int(graph.edge_via[edge])
        reason = Reason(int(graph.edge_reason[edge]))
        yield _step(order, start, end, TEXT[reason], via if via >= 0 else None)
        node = end
    if node != target:
        yield _along(order, node, target)


def _along(order: HappensBefore, source: int, target: int) -> Step:
    line = order.graph.lane_line[order.graph.node_lane[source]]
    return _step(order, source, target, LANE_TEXT[line])


def _step(
    order: HappensBefore, source: int, target: int, reason: Text, via: int | None = None
) -> Step:
    ops = int(order.graph.node_op[source]), int(order.graph.node_op[target])
    names = op_text(order, ops[0], source), op_text(order, ops[1], target)
    text = f"{names[0]} -> {names[1]}: {reason.words} ({reason.rule})"
    return Step(*ops, reason.words, reason.rule, via, text)


def last_common(order: HappensBefore, a: Ref, b: Ref) -> int | None:
    """Give the last op that comes before both: a maximal one, of those the highest id.

    Returns None where nothing comes before both.
    """
    clocks, graph = order.clocks, order.graph
    meet = np.min([_clock(order, n) for n in (*order.nodes(a), *order.nodes(b))], axis=0)
    common = np.flatnonzero(clocks.position <= meet[clocks.lane])
    last: dict[int, int] = {}
    for lane in np.unique(clocks.lane[common]).tolist():
        last[lane] = int(common[clocks.lane[common] == lane][-1])
    nodes = list(last.values())
    maximal = [n for n in nodes if not any(clocks.is_before(n, m) for m in nodes)]
    return max((int(graph.node_op[n]) for n in maximal), default=None)


def _clock(order: HappensBefore, node: int) -> NDArray[Any]:
    """Give, by lane, the position of the last node that comes before a node."""
    clocks = order.clocks
    clock: NDArray[Any] = clocks.rows[clocks.row[node]].copy()
    clock[clocks.lane[node]] = clocks.position[node] - 1
    return clock


__all__ = ["Near", "Step", "last_common", "nearly", "why"]
