"""From a Trace to its graph: what each op orders, by the rules R1 to R54 of cuda-ordering.md.

One walk in issue order. Bindings are taken as observed: a wait binds to the latest earlier record
of its event, whatever thread made it (section 1). One method an op kind, each naming its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind, Semantics
from streamsan.traces.order.edges import Line, Reason
from streamsan.traces.order.graph import Graph, Release, ValueWait

HOST_SPACES = ("pinned", "pageable")


class Column(Protocol):
    """A list of integers here; an array that grows in the compiled engine."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...
    def append(self, value: int, /) -> None:
        """Add one at the end."""


class Lowering:
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
        self.access_node: dict[int, int] = {}
        self.captured: dict[int, int] = {}
        self.binding: MutableMapping[int, int] = {}
        self.releases: dict[int, Release] = {}
        self.owner_tail: dict[int, tuple[int, ...]] = {}
        self.lane_of_thread = {names[t]: int(lane_of_name[t]) for t in thread_names}
        self._legacy_domains()
        self._names()

    def column(self, values: NDArray[np.int32]) -> Column:
        """Give the walk's own copy of a column, quick to read one by one."""
        found: list[int] = values.tolist()
        return found

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

    def _names(self) -> None:
        self.record: MutableMapping[int, int] = {}
        self.last_launch: dict[int, int] = {}
        self.capture_of: dict[int, int] = {}
        self.signals: dict[str, list[int]] = {}
        self.signal_node: dict[int, int] = {}
        self.waiting_tokens: list[tuple[int, int, str]] = []
        self.writes: dict[int, list[tuple[int, int]]] = {}
        self.value_waits: list[tuple[int, int, int]] = []
        self.meetings: dict[Any, list[tuple[int, int]]] = {}
        self.rank_turn: dict[Any, int] = {}
        self.task_node: dict[int, int] = {}
        self.free_task_lanes: dict[int, list[int]] = {}
        self.side_lanes: dict[tuple[int, int], int] = {}
        self.agents: dict[str, int] = {}
        self.registered: set[int] = set()
        self.recorded_on: dict[int, list[int]] = {}
        self.noted: dict[int, list[int]] = {}
        self.unsettled: list[int] = []
        self.started: set[str] = set()
        self.starts: dict[str, list[int]] = {}
        self.start_node: dict[int, int] = {}
        self.late_starts: list[tuple[int, int]] = []
        self.late_joins: list[tuple[int, str, int]] = []
        trace = self.trace
        for i in np.flatnonzero(trace.kind == Kind.THREAD_START).tolist():
            self.starts.setdefault(trace.names[self.obj[i]], []).append(i)

    # --- nodes and edges

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

    # --- the walk

    def run(self) -> Graph:
        """Walk the trace."""
        self.walk(0, len(self.trace))
        return self.finish()

    def walk(self, begin: int, stop: int) -> None:
        """Lower the ops ``begin`` to ``stop``. Most launches are inlined for speed."""
        kind, actions, pending = self.trace.kind.tolist(), self.actions(), self.late_threads()
        tail, issued, in_domain = self.tail, self.issued, self.in_domain
        stream_of, thread_of = self.stream_of, self.thread_of
        lanes, ops, op_node = self.node_lane, self.node_op, self.op_node
        launch = int(Kind.LAUNCH)
        for op in range(begin, stop):
            if pending and thread_of[op] in pending:
                self.begin_thread(op, pending)
            if kind[op] == launch:
                stream = stream_of[op]
                if not in_domain[stream] and issued[stream] == tail[thread_of[op]]:
                    node = len(lanes)
                    lanes.append(stream)
                    ops.append(op)
                    tail[stream] = op_node[op] = node
                    continue
            actions[kind[op]](op)

    def actions(self) -> list[Callable[[int], object]]:
        """Give the method of each kind of op."""
        return [getattr(self, f"on_{word.lower()}", self.host) for word in Kind.__members__]

    def late_threads(self) -> set[int]:
        """Give the lanes of the threads that some op starts: they may run before it (R50)."""
        return {self.lane_of_thread[t] for t in self.starts if t in self.lane_of_thread}

    def finish(self) -> Graph:
        """Bind what could only be bound at the end, and freeze."""
        self._bind_late()
        return Graph(
            lane_label=tuple(self.lane_label), lane_line=tuple(self.lane_line),
            node_lane=np.array(self.node_lane, np.int32),
            node_op=np.array(self.node_op, np.int32),
            edge_source=np.array(self.source, np.int32),
            edge_target=np.array(self.target, np.int32),
            edge_reason=np.array(self.reason, np.uint8), edge_via=np.array(self.via, np.int32),
            op_node=np.array(self.op_node, np.int32), access_node=self.access_node,
            captured=self.captured, binding=self.binding, releases=self.releases,
            owner_tail=self.owner_tail,
            value_waits=tuple(
                ValueWait(node, tuple(w for v, w in self.writes.get(addr, ()) if v >= value))
                for node, addr, value in self.value_waits
            ),
            unsettled=frozenset(self.unsettled),
        )  # fmt: skip

    # --- device work

    def on_launch(self, op: int) -> None:
        """R1, R2: in stream order, after the call."""
        self.issue(op)

    def on_memset(self, op: int) -> None:
        """R25: a synchronous memset returns when done for pinned memory, else at once."""
        node = self.issue(op)
        view = self.trace[op]
        if view.bit("async_") is False:
            space = self.space(self.trace.access_start[op])
            if space == "pinned" or (space == "managed" and self.semantics.managed_memset_blocks):
                self.returns(op, node, Reason.MEMSET_RETURNS)

    def on_memcpy(self, op: int) -> None:
        """R16 to R24, R39, R46: see the table in section 3."""
        view = self.trace[op]
        first = int(self.trace.access_start[op])
        src, dst = self.space(first), self.space(first + 1)
        kind = copy_kind(view.bit("kind"), src, dst)
        blocks = view.bit("async_") is False
        if kind == "H2H":
            self._host_copy(op)
            return
        host_side = src if kind == "H2D" else dst if kind == "D2H" else "device"
        legacy = blocks and (view.bit("wait") or self._default_wait(op)) == "legacy"
        if kind == "H2D":
            self._read_source(op, first, host_side, view.bit("src_access"), drains=legacy)
        node = self.issue(op)
        if kind == "H2D" and first in self.access_node:
            side = self.access_node[first]
            if self.lane_line[self.node_lane[side]] is Line.SIDE:
                self.edge(side, node, Reason.COPY_READS)
        self._note(op, first, kind)
        if self._copy_returns(kind, host_side, (src, dst), blocks=blocks, legacy=legacy):
            self.returns(op, node, Reason.COPY_RETURNS)

    def _default_wait(self, op: int) -> str:
        return "legacy" if self.trace.streams.legacy[self.stream_of[op]] else "stream"

    def _copy_returns(
        self, kind: str, host_side: str, spaces: tuple[str, str], *, blocks: bool, legacy: bool
    ) -> bool:
        """Whether the host comes after the copy when the call returns."""
        if "managed" in spaces and self.semantics.managed_copies_block:
            return True
        if kind in ("D2D", "P2P"):
            return False
        if blocks:
            return not (legacy and kind == "H2D" and host_side == "pageable")
        is_download = kind == "D2H" and host_side == "pageable"
        return is_download and self.semantics.pageable_d2h_async_blocks

    def _read_source(
        self, op: int, access: int, space: str, given: str | None, *, drains: bool
    ) -> None:
        """Place the read of an upload's source: at the call, in the stream, or any time."""
        when = given
        if when is None:
            stages = self.semantics.pageable_h2d_stages
            when = ("call" if stages or drains else "any") if space == "pageable" else "stream"
        if when == "call":
            drained = self.held(self.stream_of[op]) if drains else ()
            self.access_node[access] = self.join(op, drained, Reason.COPY_DRAINS)
        elif when == "any":
            stream, thread = self.stream_of[op], self.thread_of[op]
            key = (stream, thread)
            if key not in self.side_lanes:
                self.side_lanes[key] = self.lane(self.lane_label[stream], Line.SIDE)
            node = self.node(self.side_lanes[key], op)
            self.edge(self.tail[thread], node, Reason.ISSUE)
            self.access_node[access] = node

    def _host_copy(self, op: int) -> None:
        """R21: the host joins the stream, then reads and writes as host code."""
        node = self.join(op, self.held(self.stream_of[op]), Reason.COPY_DRAINS)
        self.issue(op)
        self.op_node[op] = node

    def returns(self, op: int, node: int, reason: Reason) -> None:
        """The host comes after the op's node."""
        main = self.op_node[op]
        self.join(op, (node,), reason)
        self.op_node[op] = main

    def space(self, access: int | np.integer[Any]) -> str:
        """Give the memory space of an access's buffer at this place in the file."""
        buffers = self.trace.buffers
        buffer = int(buffers.of_access[access])
        space = buffers.space[buffer]
        return "pinned" if space == "pageable" and buffer in self.registered else space

    def _note(self, op: int, first: int, kind: str) -> None:
        """R38: torch notes the stream of a non_blocking copy on the pinned block."""
        view = self.trace[op]
        if view.bit("async_") is False or view.via == "raw" or kind not in ("H2D", "D2H"):
            return
        access = first if kind == "H2D" else first + 1
        buffer = int(self.trace.buffers.of_access[access])
        noted = self.noted.setdefault(buffer, [])
        if self.stream_of[op] not in noted:
            noted.append(self.stream_of[op])

    def on_host_func(self, op: int) -> None:
        """R30: host work in stream order; awaits before it, signals after it."""
        node = self.issue(op)
        extras = self.trace[op].extras
        for token in extras.get("awaits", ()):
            self._await(op, node, str(token))
        for token in extras.get("signals", ()):
            self._signal(op, node, str(token))

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
        own = trace.access_start[op] != trace.access_start[op + 1] or trace.extras.get(op, {}).keys() & {
            "reads",
            "writes",
        }
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

    # --- events and streams

    def on_event_record(self, op: int) -> None:
        """R3, R4, R13: captures what the stream holds; replaces the record for later waits."""
        self.record[self.obj[op]] = self.issue(op, carries_call=False)

    def on_stream_wait_event(self, op: int) -> None:
        """R5, R6: later work of the stream comes after the capture; no record, no effect."""
        source = self.record.get(self.obj[op], -1)
        self.binding[op] = self.node_op[source] if source >= 0 else -1
        if source < 0:
            self.op_node[op] = self.node(self.stream_of[op], op)
            return
        node = self.issue(op)
        self.edge(source, node, Reason.EVENT_WAIT, self.node_op[source])

    def on_event_synchronize(self, op: int) -> None:
        """R7: the thread comes after the capture."""
        source = self.record.get(self.obj[op], -1)
        self.binding[op] = self.node_op[source] if source >= 0 else -1
        self.join(op, (source,), Reason.EVENT_SYNC, self.binding[op])

    def on_event_query(self, op: int) -> None:
        """R8: success orders the thread."""
        source = self.record.get(self.obj[op], -1)
        if self.trace[op].bit("result") == "success":
            self.binding[op] = self.node_op[source] if source >= 0 else -1
            self.join(op, (source,), Reason.QUERY, self.binding[op])
        else:
            self.host(op)

    def on_event_create(self, op: int) -> None:
        """R5: an event created again has no generation."""
        self.record.pop(self.obj[op], None)
        self.host(op)

    on_event_destroy = on_event_create

    def on_stream_synchronize(self, op: int) -> None:
        """R9, R13: the thread comes after all work of the stream."""
        self.join(op, self.held(self.stream_of[op]), Reason.STREAM_SYNC)

    def on_stream_query(self, op: int) -> None:
        """R8: success orders the thread."""
        ready = self.trace[op].bit("result") == "success"
        self.join(op, self.held(self.stream_of[op]) if ready else (), Reason.QUERY)

    def on_device_synchronize(self, op: int) -> None:
        """R10: the thread comes after all streams of the device."""
        self.join(op, self._device_tails(int(self.trace.device[op])), Reason.DEVICE_SYNC)

    def _device_tails(self, device: int) -> list[int]:
        streams = self.trace.streams
        return [self.tail[s] for s in range(len(streams)) if streams.device[s] == device]

    def on_stream_create(self, op: int) -> None:
        """R31: creating and destroying order nothing."""
        self.host(op)

    on_stream_destroy = on_stream_create

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

    # --- memory

    def on_malloc(self, op: int) -> None:
        """R26, R27: no order; a stream-ordered one is malloc_async."""
        if self.trace[op].bit("allocator") == "stream_ordered" and self.stream_of[op] >= 0:
            self.issue(op)
        else:
            self.host(op)

    def on_malloc_async(self, op: int) -> None:
        """R28: usable in stream order after it."""
        self.issue(op)

    def on_free(self, op: int) -> None:
        """R27, R36 to R38, R54: what the free waits for, and what the allocator will wait for."""
        buffers = self.trace.buffers
        buffer = int(buffers.of_op[op])
        allocator, space = buffers.allocator[buffer], buffers.space[buffer]
        known = buffers.malloc[buffer] >= 0
        waits = allocator in ("plain", "stream_ordered") and space in ("device", "managed")
        if known and waits and self.semantics.cuda_free_synchronizes:
            tails = self._device_tails(int(buffers.device[buffer]))
            node = self.join(op, tails, Reason.FREE_DRAINS)
        else:
            node = self.host(op)
        owner = int(buffers.owner[buffer])
        if owner >= 0:
            tails = [self.tail[owner], *self.legacy_sources(owner), node]
            self.owner_tail[op] = tuple(t for t in tails if t >= 0)
        self._release(op, buffer, allocator)

    def _release(self, op: int, buffer: int, allocator: str) -> None:
        if allocator == "caching":
            streams = self.recorded_on.get(buffer, [])
        elif allocator == "caching_host":
            streams = self.noted.get(buffer, [])
        else:
            return
        nodes = [n for s in streams for n in (self.tail[s], *self.legacy_sources(s)) if n >= 0]
        self.releases[buffer] = Release(op, tuple(nodes))

    def on_free_async(self, op: int) -> None:
        """R28, R29: the free is an op of its stream; a reuse of the address comes after it."""
        node = self.issue(op)
        buffer = int(self.trace.buffers.of_op[op])
        self.releases[buffer] = Release(op, (node,))

    def on_record_stream(self, op: int) -> None:
        """R37: noted until the free."""
        buffer = int(self.trace.buffers.of_op[op])
        streams = self.recorded_on.setdefault(buffer, [])
        if self.stream_of[op] not in streams:
            streams.append(self.stream_of[op])
        self.host(op)

    def on_host_register(self, op: int) -> None:
        """Pageable memory becomes pinned."""
        self.registered.add(int(self.trace.buffers.of_op[op]))
        self.host(op)

    def on_host_unregister(self, op: int) -> None:
        """And back."""
        self.registered.discard(int(self.trace.buffers.of_op[op]))
        self.host(op)

    # --- host code, agents, tasks, threads

    def on_host_read(self, op: int) -> None:
        """R2, R48: on the thread's line, or on the line of another agent that it sets off."""
        agent = self.trace.extras.get(op, {}).get("agent")
        if agent is None:
            self.host(op)
            return
        if agent not in self.agents:
            self.agents[agent] = self.lane(f"agent:{agent}", Line.AGENT)
        thread_tail = self.tail[self.thread_of[op]]
        node = self.node(self.agents[agent], op)
        self.edge(thread_tail, node, Reason.AGENT)
        self.op_node[op] = node

    on_host_write = on_host_read

    def on_host_task_submit(self, op: int) -> None:
        """R49: the task runs after its submit, on a line of its own."""
        thread = self.thread_of[op]
        submit = self.host(op)
        free = self.free_task_lanes.get(thread)
        name = self.trace.names[self.obj[op]]
        lane = free.pop() if free else self.lane(f"task:{name}", Line.TASK)
        node = self.node(lane, op)
        self.edge(submit, node, Reason.TASK)
        self.op_node[op] = node
        self.task_node[self.obj[op]] = node

    def on_host_task_done(self, op: int) -> None:
        """R49: whoever sees the task done comes after it."""
        source = self.task_node.pop(self.obj[op], -1)
        self.binding[op] = self.node_op[source] if source >= 0 else -1
        self.join(op, (source,), Reason.TASK_DONE)
        if source >= 0:
            lanes = self.free_task_lanes.setdefault(self.thread_of[op], [])
            lanes.append(self.node_lane[source])

    def on_signal(self, op: int) -> None:
        """R50: the token's latest signal."""
        self._signal(op, self.host(op), self.trace.names[self.obj[op]])

    def on_await(self, op: int) -> None:
        """R50: after the latest earlier signal; with none, after the first later one."""
        self._await(op, self.host(op), self.trace.names[self.obj[op]])

    def _signal(self, op: int, node: int, token: str) -> None:
        self.signals.setdefault(token, []).append(node)

    def _await(self, op: int, node: int, token: str) -> None:
        earlier = [n for n in self.signals.get(token, ()) if n != node]
        if earlier:
            self.binding[op] = self.node_op[earlier[-1]]
            self.edge(earlier[-1], node, Reason.TOKEN)
        else:
            self.waiting_tokens.append((op, node, token))

    def begin_thread(self, op: int, pending: set[int]) -> None:
        """Put the beginning of a started thread on its lane, before its first op (R50)."""
        lane = self.thread_of[op]
        pending.discard(lane)
        name = self.lane_label[lane].removeprefix("host:")
        if self.tail[lane] < 0 and name not in self.started:
            start = self.starts[name][0]
            node = self.node(lane, start)
            self.late_starts.append((start, node))
            self.started.add(name)

    def on_thread_start(self, op: int) -> None:
        """R50: the target's ops come after its start."""
        node = self.host(op)
        self.start_node[op] = node
        name = self.trace.names[self.obj[op]]
        lane = self.lane_of_thread.get(name)
        began_before_seen = self.starts[name][0] == op and name in self.started
        self.started.add(name)
        if lane is None or lane == self.thread_of[op] or began_before_seen:
            return
        self.edge(node, self.node(lane, op), Reason.THREAD_START)

    def on_thread_join(self, op: int) -> None:
        """R50: after all that the target did up to its next start."""
        node = self.host(op)
        self.late_joins.append((op, self.trace.names[self.obj[op]], node))

    # --- the end

    def _bind_late(self) -> None:
        for op, node, token in self.waiting_tokens:
            later = [n for n in self.signals.get(token, ()) if self.node_op[n] > op]
            self.binding[op] = self.node_op[later[0]] if later else -1
            if later:
                self.unsettled.append(len(self.source))
                self.edge(later[0], node, Reason.TOKEN)
        for start, node in self.late_starts:
            self.edge(self.start_node[start], node, Reason.THREAD_START)
        for op, name, node in self.late_joins:
            self._bind_join(op, name, node)
        for meeting in self.meetings.values():
            for arrival, _ in meeting:
                for other, node in meeting:
                    if other != arrival:
                        self.unsettled.append(len(self.source))
                        self.edge(arrival, node, Reason.COLLECTIVE)

    def _bind_join(self, op: int, name: str, node: int) -> None:
        lane = self.lane_of_thread.get(name)
        if lane is None or lane == self.thread_of[op]:
            return
        restart = next((s for s in self.starts.get(name, ()) if s > op), len(self.trace))
        on_lane = np.flatnonzero(np.array(self.node_lane) == lane)
        mine = on_lane[np.array(self.node_op)[on_lane] < restart]
        if len(mine):
            self.edge(int(mine[-1]), node, Reason.THREAD_JOIN)


def copy_kind(given: str | None, src: str, dst: str) -> str:
    """Give a copy's direction: as written, else as the memory spaces tell."""
    if given is not None:
        return given
    from_host, to_host = src in HOST_SPACES, dst in HOST_SPACES
    if from_host and to_host:
        return "H2H"
    return "H2D" if from_host else "D2H" if to_host else "D2D"
