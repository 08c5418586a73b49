"""From a Trace to its graph: what each op orders, by the rules R1 to R54 of cuda-ordering.md.

One walk in issue order. Bindings are taken as observed: a wait binds to the latest earlier record
of its event, whatever thread made it (section 1). One method an op kind, each naming its rule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamsan.traces.ops import Kind
from streamsan.traces.order.graph import Graph, ValueWait
from streamsan.traces.order.semantics.copies import copy_kind
from streamsan.traces.order.semantics.device_work import DeviceWork
from streamsan.traces.order.semantics.events import Events
from streamsan.traces.order.semantics.host_code import HostCode
from streamsan.traces.order.semantics.memory import Memory

__all__ = ["Lowering", "copy_kind"]


class Lowering(DeviceWork, Events, Memory, HostCode):
    """The walk over a whole trace: every family of ops together."""

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
        self.bind_late()
        self.meet()
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
