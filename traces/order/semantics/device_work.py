"""Kernels, graphs, collectives and values in stream order."""

from __future__ import annotations

from typing import Any

from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.semantics.walk import Walk


class DeviceWork(Walk):
    """R1, R2, R32, R33, R45, R51."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Start with no graph, no value and no meeting."""
        super().__init__(trace, semantics)
        self.last_launch: dict[int, int] = {}
        self.capture_of: dict[int, int] = {}
        self.writes: dict[int, list[tuple[int, int]]] = {}
        self.value_waits: list[tuple[int, int, int]] = []
        self.meetings: dict[Any, list[tuple[int, int]]] = {}
        self.rank_turn: dict[Any, int] = {}

    def on_launch(self, op: int) -> None:
        """R1, R2: in stream order, after the call."""
        self.issue(op)

    def on_graph_capture(self, op: int) -> None:
        """R32: nothing runs."""
        self.capture_of[self.obj[op]] = op
        self.host(op)

    def on_graph_launch(self, op: int) -> None:
        """R33: one op of its stream, after every earlier launch of the same graph."""
        node = self.issue(op)
        graph = self.obj[op]
        last = self.last_launch.get(graph, -1)
        self.edge(last, node, Reason.GRAPH)
        self.last_launch[graph] = node
        trace = self.trace
        given = trace.extras.get(op, {}).keys() & {"reads", "writes"}
        own = given or trace.access_start[op] != trace.access_start[op + 1]
        if graph in self.capture_of and not own:
            self.captured[op] = self.capture_of[graph]

    def on_collective(self, op: int) -> None:
        """R51: starts on no rank's stream before every rank's stream has reached it."""
        arrival = self.issue(op)
        extras, obj = self.trace[op].extras, self.obj[op]
        rank = extras.get("rank", self.trace.header.rank)
        key = (obj, self.trace[op].number)
        turn = self.rank_turn.get((key, str(rank)), 0)
        self.rank_turn[key, str(rank)] = turn + 1
        node = self.node(self.stream_of[op], op)
        self.op_node[op] = node
        self.meetings.setdefault((key, turn), []).append((arrival, node))

    def on_stream_write_value(self, op: int) -> None:
        """R45: a write in stream order, or a store by the thread."""
        node = self.issue(op) if self.stream_of[op] >= 0 else self.host(op)
        value = self.trace[op].number or 0
        self.writes.setdefault(self.obj[op], []).append((value, node))

    def on_stream_wait_value(self, op: int) -> None:
        """R45: met by a write that may be issued later; 0 stands there from the beginning."""
        node = self.issue(op)
        value = self.trace[op].number or 0
        if value > 0:
            self.value_waits.append((node, self.obj[op], value))

    def meet(self) -> None:
        """Let each rank's collective come after every rank's arrival (R51)."""
        for meeting in self.meetings.values():
            for arrival, _ in meeting:
                for other, node in meeting:
                    if other != arrival:
                        self.unsettled.append(len(self.source))
                        self.edge(arrival, node, Reason.COLLECTIVE)
