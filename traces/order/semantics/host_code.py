"""Host code, other agents, tasks of libraries, and the order of threads."""

from __future__ import annotations

import numpy as np

from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind, Semantics
from streamsan.traces.order.edges import Line, Reason
from streamsan.traces.order.semantics.walk import Walk


class HostCode(Walk):
    """R2, R30, R44, R48 to R50."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Find the starts of threads: a thread may run before its start in the file."""
        super().__init__(trace, semantics)
        self.signals: dict[str, list[int]] = {}
        self.waiting_tokens: list[tuple[int, int, str]] = []
        self.task_node: dict[int, int] = {}
        self.free_task_lanes: dict[int, list[int]] = {}
        self.agents: dict[str, int] = {}
        self.started: set[str] = set()
        self.starts: dict[str, list[int]] = {}
        self.start_node: dict[int, int] = {}
        self.late_starts: list[tuple[int, int]] = []
        self.late_joins: list[tuple[int, str, int]] = []
        for i in np.flatnonzero(trace.kind == Kind.THREAD_START).tolist():
            self.starts.setdefault(trace.names[self.obj[i]], []).append(i)

    def on_host_func(self, op: int) -> None:
        """R30: host work in stream order; awaits before it, signals after it."""
        node = self.issue(op)
        extras = self.trace[op].extras
        for token in extras.get("awaits", ()):
            self._await(op, node, str(token))
        for token in extras.get("signals", ()):
            self._signal(node, str(token))

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
        self._signal(self.host(op), self.trace.names[self.obj[op]])

    def on_await(self, op: int) -> None:
        """R50: after the latest earlier signal; with none, after the first later one."""
        self._await(op, self.host(op), self.trace.names[self.obj[op]])

    def _signal(self, node: int, token: str) -> None:
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

    def bind_late(self) -> None:
        """Bind what could only be bound at the end of the file."""
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

    def _bind_join(self, op: int, name: str, node: int) -> None:
        lane = self.lane_of_thread.get(name)
        if lane is None or lane == self.thread_of[op]:
            return
        restart = next((s for s in self.starts.get(name, ()) if s > op), len(self.trace))
        on_lane = np.flatnonzero(np.array(self.node_lane) == lane)
        mine = on_lane[np.array(self.node_op)[on_lane] < restart]
        if len(mine):
            self.edge(int(mine[-1]), node, Reason.THREAD_JOIN)
