"""What a profile does not say but its times show: for what an unresolved wait had waited.

These are guesses, made for predicting times and for nothing else: no verdict rests on them.
Where synchronisation is complete nothing is guessed. The stream of the last work that the thread
launched agreed with the recorded one in 33 of 33 cases (trace-sources.md, section 5, J).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from streamsan.traces.model import NONE, Trace

SLACK = 20_000
"""Nanoseconds by which recorded times may contradict an order: clocks of host and device differ.

Older Kineto files cut times to microseconds; in an Nsight export of two H100 the synchronises of
one device return 4 to 7 us before the copies that they wait for, those of the other 7 to 10 after.
"""
WAITS = ("stream_synchronize", "event_synchronize", "device_synchronize", "unknown")
"""What an unresolved call may be for the host to wait in it; ``unknown`` is a free, say."""
HELD = 5_000
"""Work that begins within so many ns of another's end may have waited for it."""


class Guesses:
    """Looks for work whose end explains why something else went on."""

    def __init__(self, trace: Trace, back: list[int], end: list[int]) -> None:
        """Sort the timed work by its end.

        Args:
            trace: the trace.
            back: by op, the moment at which its call returns.
            end: by op, the moment at which its work is over.
        """
        self.trace, self._back, self._end = trace, back, end
        timed = np.flatnonzero((trace.end != NONE) & (trace.begin != NONE))
        timed = timed[np.argsort(trace.end[timed], kind="stable")]
        self._ops: list[int] = timed.tolist()
        self._ends: list[int] = trace.end[timed].tolist()
        self.made = 0
        """How many waits rest on a guess."""

    def waits(self) -> Iterator[tuple[int, int]]:
        """Give each unresolved wait of the host with the moment that it seems to wait for."""
        if self.trace.header.complete.sync:
            return
        last: dict[int, int] = {}
        thread, end = self.trace.thread.tolist(), self._end
        timed = set(self._ops)
        for op in range(len(self.trace)):
            if op in timed:
                last[thread[op]] = op
                continue
            kind = self.trace.extras.get(op, {}).get("unresolved")
            if kind not in WAITS or self._back[op] < 0:
                continue
            is_stream = kind == "stream_synchronize"
            work = last.get(thread[op], -1) if is_stream else self._ended_in(op)
            if work >= 0 and end[work] >= 0 and self.trace.end[work] <= self._until(op) + SLACK:
                self.made += 1
                yield op, end[work]

    def _until(self, op: int) -> int:
        found = int(self.trace.t_end[op])
        return int(self.trace.t[op]) if found == NONE else found

    def _ended_in(self, op: int) -> int:
        """Give the work issued before a call at whose end the call returned; -1 for none."""
        until = self._until(op)
        start, at = max(int(self.trace.t[op]), until - SLACK), bisect_right(self._ends, until)
        while at > 0 and self._ends[at - 1] > start:
            at -= 1
            if self._ops[at] < op:
                return self._ops[at]
        return -1

    def held_by(self, op: int, ready: int) -> int:
        """Give the work at whose end an op seems to have begun, -1 for none.

        That is a copy of the same direction, which needs the same engine; or, where not every
        wait is known, any work.

        Args:
            op: work that began later than it could have.
            ready: when it could have begun, ns.
        """
        begin = int(self.trace.begin[op])
        at = bisect_right(self._ends, begin)
        while at > 0 and self._ends[at - 1] > max(ready, begin - HELD):
            at -= 1
            other = self._ops[at]
            if other != op and self._may_hold(other, op):
                return other
        return -1

    def _may_hold(self, other: int, op: int) -> bool:
        trace = self.trace
        if trace.device[other] != trace.device[op]:
            return False
        if not trace.header.complete.sync:
            return True
        kinds = [trace[each].bit("kind") for each in (other, op)]
        return kinds[0] is not None and kinds[0] == kinds[1]
