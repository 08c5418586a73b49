"""A trace as a network of moments: when each call began and returned, each work began and ended.

Moments hang on moments: a call begins some time after the thread's call before it; work begins
once its call is made and all that it comes after is over; a wait returns once what it waits for is
over. The structure is that of happens-before. How long each step takes is taken from the recorded
times (``timeline_lags.py``), so the earliest time of every moment is the recorded one, and stays
meaningful when a step is taken away (``what_if.py``).

What is not modelled: kernels that slow each other down, other users of the device, and threads
that hand work to each other in ways that the trace does not hold (each begins when it was seen
to begin).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from streamsan.sim.machine.timeline_guess import Guesses
from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import Kind
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line, Reason

NOWHERE = -1
"""In place of a moment that is not known."""


@dataclass
class Moments:
    """The network; entry ``i`` of every list is about moment ``i``.

    A moment comes ``lag`` after the moment ``first`` (its call, its beginning, the call before
    it) and ``gap`` after each of ``others`` (what it has to wait for). ``seen`` is the recorded
    time in ns, None where there is none.
    """

    first: list[int] = field(default_factory=list)
    others: list[list[int]] = field(default_factory=list)
    lag: list[int] = field(default_factory=list)
    gap: list[int] = field(default_factory=list)
    seen: list[int | None] = field(default_factory=list)

    def add(self, first: int = NOWHERE, seen: int | None = None) -> int:
        """Add a moment and give its number."""
        self.first.append(first)
        self.others.append([])
        self.lag.append(0)
        self.gap.append(0)
        self.seen.append(seen)
        return len(self.first) - 1

    def __len__(self) -> int:
        """Count the moments."""
        return len(self.first)


class Timeline:
    """The moments of a trace's ops.

    ``call`` and ``back`` are the beginning and the return of an op's call, ``begin`` and ``end``
    those of its work on a stream; ``NOWHERE`` where an op has none. A record or a wait of a stream
    takes no time: its ``begin`` is its ``end``. ``before`` is the moment before it on its stream,
    ``next`` the beginning of what follows there. ``waiting`` are ops whose return may wait.
    """

    def __init__(self, trace: Trace, order: HappensBefore) -> None:
        """Lay the network; nothing is timed yet."""
        self.trace, self.graph = trace, order.graph
        self.moments = Moments()
        count = len(trace)
        self.call, self.back = [NOWHERE] * count, [NOWHERE] * count
        self.begin, self.end = [NOWHERE] * count, [NOWHERE] * count
        self.before, self.next = [NOWHERE] * count, [NOWHERE] * count
        self._lanes: list[Line] = list(self.graph.lane_line)
        self._lane: list[int] = self.graph.node_lane.tolist()
        self._op: list[int] = self.graph.node_op.tolist()
        self._after = [NOWHERE] * len(self._lane)
        self._calls()
        self._work()
        self._waits()
        self.guesses = Guesses(trace, self.back, self.end)
        for op, work in self.guesses.waits():
            self.moments.others[self.back[op]].append(work)

    def time(self, column: str, op: int) -> int | None:
        """Give a recorded time of an op in ns."""
        value = int(getattr(self.trace, column)[op])
        return None if value == NONE else value

    @property
    def waiting(self) -> list[int]:
        """The ops whose call returns only once some work is over."""
        others = self.moments.others
        return [op for op, back in enumerate(self.back) if back >= 0 and others[back]]

    # --- calls

    def _calls(self) -> None:
        """Chain the calls of each thread; a call within another hangs on that one's beginning."""
        thread = self.trace.thread
        by_thread = np.argsort(thread, kind="stable")
        bounds = np.flatnonzero(np.diff(thread[by_thread])) + 1
        edges = [0, *bounds.tolist(), len(by_thread)]
        for low, high in pairwise(edges):
            mine = by_thread[low:high].tolist()
            self._chain(mine)
        self._starts()

    def _chain(self, ops: list[int]) -> None:
        moments = self.moments
        last, widest, widest_end = NOWHERE, NOWHERE, -(2**63)
        for op in ops:
            start, stop = self.time("t", op), self.time("t_end", op)
            if start is None:
                continue
            nested = last >= 0 and start < (self.time("t_end", last) or start)
            first = NOWHERE if last < 0 else self.call[last] if nested else self.back[last]
            self.call[op] = call = moments.add(first, start)
            if widest >= 0 and widest != last and widest_end <= start:
                moments.others[call].append(self.back[widest])
            self.back[op] = moments.add(call, stop)
            last = op
            if (stop or start) >= widest_end:
                widest, widest_end = op, stop or start

    def _starts(self) -> None:
        """Let the first call of a thread hang on the call that started the thread."""
        first: dict[int, int] = {}
        threads = self.trace.thread.tolist()
        for op, call in enumerate(self.call):
            if call >= 0:
                first.setdefault(threads[op], call)
        for op in np.flatnonzero(self.trace.kind == Kind.THREAD_START).tolist():
            call = first.get(int(self.trace.obj[op]), NOWHERE)
            if call >= 0 and self.back[op] >= 0:
                self.moments.others[call].append(self.back[op])

    # --- work

    def _work(self) -> None:
        """Give each node of a stream its moments, after its call and the node before it."""
        moments = self.moments
        previous: list[int] = self.graph.previous.tolist()
        op_node: list[int] = self.graph.op_node.tolist()
        for node, op in enumerate(self._op):
            line = self._lanes[self._lane[node]]
            if line is Line.THREAD:
                self._after[node] = self.back[op]
                continue
            begin, end = self.time("begin", op), self.time("end", op)
            timed = op_node[op] == node and begin is not None and end is not None
            moment = moments.add(self.call[op], begin if timed else None)
            before = previous[node]
            if before >= 0 and self._after[before] >= 0:
                moments.others[moment].append(self._after[before])
                if self.end[self._op[before]] == self._after[before]:
                    self.next[self._op[before]] = moment
            self._after[node] = moments.add(moment, end) if timed else moment
            if op_node[op] == node:
                self.begin[op], self.end[op] = moment, self._after[node]
                self.before[op] = NOWHERE if before < 0 else self._after[before]

    def _waits(self) -> None:
        """Add what happens-before says between lanes. Issue is told by the calls themselves."""
        graph, others = self.graph, self.moments.others
        begins = self._begins()
        for source, target, reason in zip(
            graph.edge_source.tolist(),
            graph.edge_target.tolist(),
            graph.edge_reason.tolist(),
            strict=True,
        ):
            before, after = self._after[source], begins[target]
            of_call = reason == Reason.ISSUE and self.call[self._op[target]] >= 0
            if before >= 0 and after >= 0 and before != after and not of_call:
                others[after].append(before)

    def _begins(self) -> list[int]:
        """By node: the moment that waits for what comes before the node."""
        return [
            after
            if after < 0 or self._lanes[lane] is Line.THREAD or self.moments.seen[after] is None
            else self.moments.first[after]
            for after, lane in zip(self._after, self._lane, strict=True)
        ]


def sort(moments: Moments) -> list[int] | None:
    """Give an order in which each moment stands after those that it hangs on; None for a circle."""
    later: list[list[int]] = [[] for _ in range(len(moments))]
    missing = [0] * len(moments)
    for moment, first in enumerate(moments.first):
        for before in (first, *moments.others[moment]):
            if before >= 0:
                later[before].append(moment)
                missing[moment] += 1
    ready = [moment for moment, count in enumerate(missing) if not count]
    for moment in ready:
        for after in later[moment]:
            missing[after] -= 1
            if not missing[after]:
                ready.append(after)
    return ready if len(ready) == len(moments) else None
