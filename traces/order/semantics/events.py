"""Events, and waits for events, streams and devices."""

from __future__ import annotations

from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.semantics.walk import Walk


class Events(Walk):
    """R3 to R10, R13, R31. ``record`` holds the node of each event's latest record."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Start with no record."""
        super().__init__(trace, semantics)
        self.record = self.mapping(len(trace.names))

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
        self.join(op, self.device_tails(int(self.trace.device[op])), Reason.DEVICE_SYNC)

    def on_stream_create(self, op: int) -> None:
        """R31: creating and destroying order nothing."""
        self.host(op)

    on_stream_destroy = on_stream_create
