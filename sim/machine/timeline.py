"""A trace as a network of moments: when each call began and returned, each work began and ended.

Moments hang on moments: a call begins some time after the thread's call before it; work begins
once its call is made and all that it comes after is over; a wait returns once what it waits for is
over. The structure is that of happens-before. How long each step takes is another's business: the
recorded times' (``timeline_recorded.py``) or a model's (``timeline_modelled.py``).

What is not modelled: kernels that slow each other down, other users of the device, and threads
that hand work to each other in ways that the trace does not hold (each begins when it was seen
to begin).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from streamsan.sim.machine.timeline_moments import NOWHERE, Moments
from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import Kind, Semantics
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line, Reason
from streamsan.traces.order.semantics import Lowering

WORK = (Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET, Kind.GRAPH_LAUNCH, Kind.COLLECTIVE)
"""What runs on an engine of a device."""


class Timeline:
    """The moments of a trace's ops; no step has a length yet.

    ``call`` and ``back`` are the beginning and the return of an op's call, ``begin`` and ``end``
    those of its work on a stream; ``NOWHERE`` where an op has none. A record or a wait of a stream
    takes no time: its ``begin`` is its ``end``. ``before`` is the moment before it on its stream,
    ``next`` the beginning of what follows there. ``hangs``: its order goes round in a circle.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
        recorded: whether only what has recorded times takes time; else every call and all work.
    """

    def __init__(
        self, trace: Trace, semantics: Semantics | None = None, *, recorded: bool = True
    ) -> None:
        """Lay the network."""
        order = HappensBefore(trace, semantics)
        settled = order.clocks.rank is not None  # and then no longer says what met a value wait
        self.graph = Lowering(trace, order.semantics).run() if settled else order.graph
        self.trace, self.recorded, self.hangs = trace, recorded, bool(order.clocks.stuck)
        self.moments = Moments()
        count = len(trace)
        self.call, self.back = [NOWHERE] * count, [NOWHERE] * count
        self.begin, self.end = [NOWHERE] * count, [NOWHERE] * count
        self.before, self.next = [NOWHERE] * count, [NOWHERE] * count
        self._lanes: list[Line] = list(self.graph.lane_line)
        self._lane: list[int] = self.graph.node_lane.tolist()
        self._op: list[int] = self.graph.node_op.tolist()
        self._start = [NOWHERE] * len(self._lane)
        self._after = [NOWHERE] * len(self._lane)
        self._calls()
        self._work()
        self._waits()

    def time(self, column: str, op: int) -> int | None:
        """Give a recorded time of an op in ns."""
        value = int(getattr(self.trace, column)[op])
        return None if value == NONE or not self.recorded else value

    @property
    def waiting(self) -> list[int]:
        """The ops whose call returns only once some work is over."""
        others = self.moments.others
        return [op for op, back in enumerate(self.back) if back >= 0 and others[back]]

    @property
    def works(self) -> list[int]:
        """The ops whose work takes time."""
        return [op for op, begin in enumerate(self.begin) if self.end[op] != begin]

    # --- calls

    def _calls(self) -> None:
        """Chain the calls of each thread; a call within another hangs on that one's beginning."""
        thread = self.trace.thread
        by_thread = np.argsort(thread, kind="stable")
        bounds = np.flatnonzero(np.diff(thread[by_thread])) + 1
        edges = [0, *bounds.tolist(), len(by_thread)]
        for low, high in pairwise(edges):
            self._chain(by_thread[low:high].tolist())
        self._starts()

    def _chain(self, ops: list[int]) -> None:
        moments = self.moments
        last, widest, widest_end = NOWHERE, NOWHERE, -(2**63)
        for op in ops:
            start, stop = self.time("t", op), self.time("t_end", op)
            if start is None and self.recorded:
                continue
            now = start or 0
            nested = last >= 0 and now < (self.time("t_end", last) or now)
            first = NOWHERE if last < 0 else self.call[last] if nested else self.back[last]
            self.call[op] = call = moments.add(first, start)
            if widest >= 0 and widest != last and widest_end <= now:
                moments.others[call].append(self.back[widest])
            self.back[op] = moments.add(call, stop)
            last = op
            if (stop or now) >= widest_end:
                widest, widest_end = op, stop or now

    def _starts(self) -> None:
        """Let a thread's first call after each of its starts hang on the start (R50)."""
        started: set[int] = set()
        for op in np.flatnonzero(self.trace.kind == Kind.THREAD_START).tolist():
            target = int(self.trace.obj[op])
            since = op if target in started else NOWHERE  # it does not run before its first start
            started.add(target)
            mine = np.flatnonzero(self.trace.thread == target).tolist()
            call = next((self.call[o] for o in mine if o > since and self.call[o] >= 0), NOWHERE)
            if call >= 0 and self.back[op] >= 0 and self.trace.thread[op] != target:
                self.moments.others[call].append(self.back[op])

    # --- work

    def _work(self) -> None:
        """Give each node of a stream its moments, after its call and the node before it."""
        moments = self.moments
        previous: list[int] = self.graph.previous.tolist()
        op_node: list[int] = self.graph.op_node.tolist()
        for node, op in enumerate(self._op):
            if self._lanes[self._lane[node]] is Line.THREAD:
                self._start[node] = self._after[node] = self.back[op]
                continue
            timed = op_node[op] == node and self._takes_time(op)
            moment = moments.add(self.call[op], self.time("begin", op) if timed else None)
            before = previous[node]
            if before >= 0 and self._after[before] >= 0:
                moments.others[moment].append(self._after[before])
                if self.end[self._op[before]] == self._after[before]:
                    self.next[self._op[before]] = moment
            self._start[node] = moment
            end = moments.add(moment, self.time("end", op)) if timed else moment
            self._after[node] = end
            if op_node[op] == node:
                self.begin[op], self.end[op] = moment, self._after[node]
                self.before[op] = NOWHERE if before < 0 else self._after[before]

    def _takes_time(self, op: int) -> bool:
        trace = self.trace
        if trace.begin[op] != NONE and trace.end[op] != NONE:
            return True
        return not self.recorded and trace.kind[op] in (*WORK, Kind.HOST_FUNC)

    def _waits(self) -> None:
        """Add what happens-before says between lanes. Issue is told by the calls themselves."""
        graph, moments = self.graph, self.moments
        for source, target, reason in zip(
            graph.edge_source.tolist(),
            graph.edge_target.tolist(),
            graph.edge_reason.tolist(),
            strict=True,
        ):
            before, after = self._after[source], self._start[target]
            of_call = reason == Reason.ISSUE and self.call[self._op[target]] >= 0
            if before >= 0 and after >= 0 and before != after and not of_call:
                moments.others[after].append(before)
        for wait in graph.value_waits:
            writes = [self._after[write] for write in wait.writes]
            # where times are recorded it was met: by an op that is not in the trace, or has no time
            if not self.recorded or (writes and min(writes) >= 0):
                moments.either[self._start[wait.node]] = writes
