"""The state of the walk, and the few steps that every rule is made of.

A rule adds nodes to lanes (``host``, ``issue``, ``node``) and edges between them (``edge``,
``join``, ``returns``).
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order.edges import Line, Reason
from streamsan.traces.order.graph import Release


class Column(Protocol):
    """A list of integers here; an array that grows in the compiled engine."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...
    def append(self, value: int, /) -> None:
        """Add one at the end."""


class Walk:
    """The state of the walk. ``tail[lane]`` is the last node of a lane, -1 before the first."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Number the lanes: streams first, then threads; tasks, agents and sides as they come."""
        self.trace = trace
        self.semantics = semantics
        streams, names = trace.streams, trace.names
        self.stream_of = self.column(streams.of_op)
        used = np.zeros(len(names), dtype=bool)
        used[trace.thread] = True
        thread_names = np.flatnonzero(used)
        lane_of_name = np.full(len(names), -1, dtype=np.int32)
        lane_of_name[thread_names] = len(streams) + np.arange(len(thread_names))
        self.thread_of = self.column(lane_of_name.take(trace.thread, mode="clip"))
        self.obj = self.column(trace.obj)
        self.lane_label = list(streams.label) + [f"host:{names[t]}" for t in thread_names]
        self.lane_line = [Line.STREAM] * len(streams) + [Line.THREAD] * len(thread_names)
        nothing = np.full(len(self.lane_label), -1, np.int32)
        self.tail, self.issued = self.column(nothing), self.column(nothing)
        none = nothing[:0]
        self.node_lane, self.node_op = self.column(none), self.column(none)
        self.source, self.target = self.column(none), self.column(none)
        self.reason, self.via = self.column(none), self.column(none)
        self.op_node = self.column(np.full(len(trace), -1, np.int32))
        self.unsettled: list[int] = []
        self.access_node: dict[int, int] = {}
        self.captured: dict[int, int] = {}
        self.binding = self.mapping(len(trace))
        self.releases: dict[int, Release] = {}
        self.owner_tail: dict[int, tuple[int, ...]] = {}
        self.lane_of_thread = {names[t]: int(lane_of_name[t]) for t in thread_names}
        self._legacy_domains()

    def column(self, values: NDArray[np.int32]) -> Column:
        """Give the walk's own copy of a column, quick to read one by one."""
        found: list[int] = values.tolist()
        return found

    def mapping(self, size: int) -> MutableMapping[int, int]:  # noqa: ARG002
        """Give an empty mapping of integers below ``size``."""
        return {}

    def _legacy_domains(self) -> None:
        """Find, per device, the legacy stream and the blocking streams (R11, R12)."""
        streams = self.trace.streams
        self.legacy: dict[int, int] = {}
        self.blocking: dict[int, list[int]] = {}
        for s in range(len(streams)):
            if streams.legacy[s]:
                self.legacy[streams.device[s]] = s
            elif streams.blocking[s]:
                self.blocking.setdefault(streams.device[s], []).append(s)
        self.in_domain = [
            (streams.legacy[s] and streams.device[s] in self.blocking)
            or (streams.blocking[s] and not streams.legacy[s] and streams.device[s] in self.legacy)
            for s in range(len(streams))
        ]

    def lane(self, label: str, line: Line) -> int:
        """Add a lane."""
        self.lane_label.append(label)
        self.lane_line.append(line)
        self.tail.append(-1)
        self.issued.append(-1)
        return len(self.tail) - 1

    def node(self, lane: int, op: int) -> int:
        """Add a node at the end of a lane."""
        index = len(self.node_lane)
        self.node_lane.append(lane)
        self.node_op.append(op)
        self.tail[lane] = index
        return index

    def edge(self, source: int, target: int, reason: int, via: int = -1) -> None:
        """Add an edge; a source of -1 is nothing."""
        if source >= 0 and source != target:
            self.source.append(source)
            self.target.append(target)
            self.reason.append(reason)
            self.via.append(via)

    def host(self, op: int) -> int:
        """Add a node on the host's lane of the op's thread."""
        node = self.node(self.thread_of[op], op)
        self.op_node[op] = node
        return node

    def issue(self, op: int, *, carries_call: bool = True) -> int:
        """Add a node on the op's stream, after what the thread did before (R2, R11).

        A record carries no order of its own call (section 7, point 5): ``carries_call`` false.
        """
        stream = self.stream_of[op]
        sources = self.legacy_sources(stream) if self.in_domain[stream] else ()
        node = self.node(stream, op)
        for source in sources:
            self.edge(source, node, Reason.LEGACY)
        if carries_call:
            thread_tail = self.tail[self.thread_of[op]]
            if self.issued[stream] != thread_tail:
                self.issued[stream] = thread_tail
                self.edge(thread_tail, node, Reason.ISSUE)
        self.op_node[op] = node
        return node

    def legacy_sources(self, stream: int) -> list[int]:
        """Give the tails that an action on a stream first waits for (R11)."""
        streams = self.trace.streams
        device = streams.device[stream]
        if streams.legacy[stream]:
            return [self.tail[b] for b in self.blocking.get(device, ())]
        if streams.blocking[stream] and device in self.legacy:
            return [self.tail[self.legacy[device]]]
        return []

    def held(self, stream: int) -> list[int]:
        """Give the tails that a synchronise of a stream covers (R9, R13)."""
        streams = self.trace.streams
        if streams.legacy[stream]:
            return [self.tail[stream], *self.legacy_sources(stream)]
        return [self.tail[stream]]

    def join(self, op: int, sources: Iterable[int], reason: Reason, via: int = -1) -> int:
        """Add a host node that comes after the sources."""
        sources = list(sources)
        node = self.host(op)
        for source in sources:
            self.edge(source, node, reason, via)
        return node

    def returns(self, op: int, node: int, reason: Reason) -> None:
        """The host comes after the op's node."""
        main = self.op_node[op]
        self.join(op, (node,), reason)
        self.op_node[op] = main

    def device_tails(self, device: int) -> list[int]:
        """Give the tails of all streams of a device (R10)."""
        streams = self.trace.streams
        return [self.tail[s] for s in range(len(streams)) if streams.device[s] == device]
