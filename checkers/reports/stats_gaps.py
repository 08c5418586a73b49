"""Times in which a device was idle, and why: what the op that ended the gap had waited for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamsan.checkers.reports.stats import Counting
from streamsan.checkers.reports.stats_time import gaps
from streamsan.traces.model import NONE

UNKNOWN = "why is not known"


class Gap(NamedTuple):
    """Idle time of a device in ns, the op that ended it, and the cause in words."""

    device: int
    begin: int
    end: int
    op: int
    cause: str


def explained_gaps(counting: Counting, least: int) -> list[Gap]:
    """Give the gaps longer than ``least`` ns of every device, with their causes."""
    found = []
    trace, timed = counting.trace, counting.facts.timed
    waits = _Waits(counting)
    for device in counting.devices:
        mine = timed[trace.device[timed] == device]
        mine = mine[np.argsort(trace.begin[mine], kind="stable")]
        starts = trace.begin[mine]
        idle = gaps(counting.busy(device), least)
        for begin, end in zip(idle.begin.tolist(), idle.end.tolist(), strict=True):
            op = int(mine[np.searchsorted(starts, end)])
            found.append(Gap(device, begin, end, op, _cause(counting, waits, op, begin, end)))
    return found


def _cause(counting: Counting, waits: _Waits, op: int, begin: int, end: int) -> str:
    """Say what kept the device from starting ``op`` at once.

    Its call lay before the gap: then it waited on the device. Else the host was late: it waited
    itself, or it did other things.
    """
    trace = counting.trace
    called = int(trace.t[op])
    if called == NONE:
        return UNKNOWN
    if called <= begin:
        return "the next op was launched, and waited for other work"
    payer, inside = waits.longest(int(trace.thread[op]), begin, min(called, end))
    if inside * 2 >= min(called, end) - begin:
        return f"the host waited in {trace[payer].name} (op {payer})"
    return "the host had not launched the next op yet"


class _Waits:
    """The calls in which each thread waits, in the order of time."""

    def __init__(self, counting: Counting) -> None:
        trace = counting.trace
        ops = np.array(counting.blocking, dtype=np.int64)
        ops = ops[(trace.t[ops] != NONE) & (trace.t_end[ops] != NONE)]
        self._mine: dict[int, NDArray[np.int64]] = {}
        for thread in set(trace.thread[ops].tolist()):
            mine = ops[trace.thread[ops] == thread]
            self._mine[thread] = mine[np.argsort(trace.t[mine], kind="stable")]
        self._trace = trace

    def longest(self, thread: int, begin: int, end: int) -> tuple[int, int]:
        """Give the wait that fills most of a span, and how much of it; -1 and 0 for none."""
        mine = self._mine.get(thread)
        if mine is None:
            return -1, 0
        starts, stops = self._trace.t[mine], self._trace.t_end[mine]
        inside = stops.clip(max=end) - starts.clip(min=begin)
        best = int(np.argmax(inside))
        return (int(mine[best]), int(inside[best])) if inside[best] > 0 else (-1, 0)
