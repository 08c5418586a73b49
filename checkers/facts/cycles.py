"""Programs that hang: for each wait that can never be met, the cycle that it closes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line

_WAITS = (
    Kind.STREAM_WAIT_VALUE,
    Kind.STREAM_WAIT_EVENT,
    Kind.EVENT_SYNCHRONIZE,
    Kind.STREAM_SYNCHRONIZE,
    Kind.DEVICE_SYNCHRONIZE,
    Kind.EVENT_QUERY,
    Kind.STREAM_QUERY,
    Kind.HOST_TASK_DONE,
    Kind.THREAD_JOIN,
    Kind.AWAIT,
    Kind.MEMCPY,
    Kind.HOST_FUNC,
    Kind.COLLECTIVE,
    Kind.FREE,
)


class Cycle(NamedTuple):
    """A cycle of waits: nodes from the wait that is never met to what it waits for."""

    nodes: tuple[int, ...]
    order: HappensBefore

    def _line(self, node: int) -> Line:
        return self.order.graph.lane_line[int(self.order.graph.node_lane[node])]

    def _op(self, node: int) -> int:
        return int(self.order.graph.node_op[node])

    def _kind(self, node: int) -> int:
        return int(self.order.trace.kind[self._op(node)])

    @property
    def waits(self) -> list[int]:
        """The ops of the cycle that wait for another line, in issue order."""
        return sorted({self._op(n) for n in self.nodes if self._kind(n) in _WAITS})

    @property
    def host_waits(self) -> list[int]:
        """The ops of the cycle at which a thread waits for a stream, in issue order."""
        found = set()
        for before, node in zip(self.nodes, self.nodes[1:], strict=False):
            if self._line(node) is Line.THREAD and self._line(before) is not Line.THREAD:
                found.add(self._op(node))
        return sorted(found)

    @property
    def has_collective(self) -> bool:
        """Whether ranks meet in it."""
        return any(self._kind(n) == Kind.COLLECTIVE for n in self.nodes)

    @property
    def host_action(self) -> tuple[int, int] | None:
        """The host's wait and the action by the same host that it needs, if that is the cycle."""
        wait, action = self.nodes[0], self.nodes[-1]
        lane = self.order.graph.node_lane
        if self._line(wait) is Line.THREAD and self._kind(action) == Kind.HOST_FUNC:
            return self._op(wait), self._op(action)
        if self._line(action) is not Line.THREAD:
            return None
        on_thread = [n for n in self.nodes if lane[n] == lane[action] and n != action]
        if self._line(wait) is Line.THREAD and lane[wait] != lane[action]:
            return None
        return (self._op(on_thread[0]), self._op(action)) if on_thread else None


def find_cycles(order: HappensBefore) -> list[Cycle]:
    """Give a shortest cycle for each wait that is never met."""
    found: dict[tuple[int, ...], Cycle] = {}
    for source, target in order.clocks.stuck:
        nodes = _path(order, target, source)
        if nodes:
            found.setdefault(nodes, Cycle(nodes, order))
    return list(found.values())


def _path(order: HappensBefore, start: int, end: int) -> tuple[int, ...]:
    """Give a shortest path of nodes from one to another; empty if there is none."""
    if start == end:
        return (start,)
    graph = order.graph
    first, edges = graph.incoming
    came: dict[int, int] = {end: -1}
    todo = deque([end])
    while todo:
        node = todo.popleft()
        sources = [int(graph.edge_source[e]) for e in edges[first[node] : first[node + 1]]]
        for before in (*sources, int(graph.previous[node])):
            if before < 0 or before in came:
                continue
            came[before] = node
            if before == start:
                return _follow(came, start)
            if order.clocks.is_before(start, before):
                todo.append(before)
    return ()


def _follow(came: dict[int, int], start: int) -> tuple[int, ...]:
    nodes = [start]
    while came[nodes[-1]] >= 0:
        nodes.append(came[nodes[-1]])
    return tuple(nodes)
