"""What ``stats`` knows of single ops: their bytes, their direction, what they made the host wait.

A trace of a profiler has no ranges: its readers keep the bytes of a copy as a key of the op.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from streamsan.traces import Trace
from streamsan.traces.model import NONE, WHOLE, Op
from streamsan.traces.ops import Kind
from streamsan.traces.order.semantics import copy_kind

WORK = (
    Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET, Kind.GRAPH_LAUNCH, Kind.HOST_FUNC, Kind.COLLECTIVE,
)  # fmt: skip
HOST_WAITS = {
    Kind.EVENT_SYNCHRONIZE: "event_synchronize",
    Kind.STREAM_SYNCHRONIZE: "stream_synchronize",
    Kind.DEVICE_SYNCHRONIZE: "device_synchronize",
}
MAY_WAIT = "may synchronise"
"""A call such as cudaFree, of which the trace does not say whether the host waited."""


class OpFacts:
    """Looks at the ops of one trace."""

    def __init__(self, trace: Trace) -> None:
        """Keep the trace."""
        self.trace = trace

    @cached_property
    def timed(self) -> NDArray[np.intp]:
        """The device work whose begin and end are known."""
        trace = self.trace
        known = np.isin(trace.kind, WORK) & (trace.begin != NONE) & (trace.end != NONE)
        return np.flatnonzero(known)

    def spaces(self, op: int) -> tuple[str, str]:
        """Give the memories of a copy's source and destination."""
        buffers, first = self.trace.buffers, int(self.trace.access_start[op])
        one, two = buffers.of_access[first : first + 2]
        return buffers.space[int(one)], buffers.space[int(two)]

    def direction(self, op: int) -> str:
        """Give a copy's direction, such as ``H2D``."""
        return copy_kind(self.trace[op].bit("kind"), *self.spaces(op)) or "?"

    def size(self, op: int) -> int | None:
        """Give the bytes that a copy or a fill moves; None where they are not known."""
        told = self.trace.extras.get(op, {}).get("bytes")
        if isinstance(told, int) and not isinstance(told, bool):
            return told
        first, last = (int(self.trace.access_start[op + i]) for i in (0, 1))
        sizes = [size for size in map(self._range_size, range(first, last)) if size]
        return min(sizes, default=None)

    def _range_size(self, access: int) -> int | None:
        ranges, index = self.trace.ranges, int(self.trace.access_range[access])
        view = int(ranges.strided[index])
        if view >= 0:
            found = ranges.views[view]
            return found.itemsize * int(np.prod(found.shape, dtype=object))
        length = int(ranges.length[index])
        if length == WHOLE:
            length = int(self.trace.buffers.size[self.trace.buffers.of_access[access]])
        return length if length >= 0 else None

    def host_span(self, op: int) -> int | None:
        """Give for how long the op's call lasted, in ns; None where it is not known."""
        start, stop = int(self.trace.t[op]), int(self.trace.t_end[op])
        return None if NONE in (start, stop) else max(0, stop - start)

    def is_called(self, op: int) -> bool:
        """Whether the call of an op is in the trace: a profiler may have begun after it."""
        return self.trace.header.complete.host or bool(self.trace.t[op] != NONE)

    def wait_word(self, op: Op) -> str | None:
        """Say as what kind of synchronisation an op counts; None for other ops."""
        if op.kind in HOST_WAITS:
            return HOST_WAITS[Kind(op.kind)]
        if op.kind == Kind.STREAM_WAIT_EVENT:
            return "stream_wait_event"
        unresolved = op.extras.get("unresolved") if op.kind == Kind.MARK else None
        if unresolved == "unknown":
            return MAY_WAIT
        known = {*HOST_WAITS.values(), "stream_wait_event"}
        return unresolved if isinstance(unresolved, str) and unresolved in known else None

    def copy_waits(self, op: int) -> bool:
        """Whether the host waits in a copy's or fill's call: by its form, not by its times."""
        view = self.trace[op]
        if view.kind == Kind.MEMSET:
            return False  # R25: it blocks for pinned and managed memory alone
        direction, (_, dst) = self.direction(op), self.spaces(op)
        if direction in ("D2D", "P2P"):
            return False
        return view.bit("async_") is False or (direction == "D2H" and dst == "pageable")
