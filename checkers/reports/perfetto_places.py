"""Where each op stands in Chrome JSON: process, track, begin and end.

Slices of one track must nest. Ops that have no times, in a trace where others have, stand right
after what is before them on their track, without length.
"""

from __future__ import annotations

from typing import NamedTuple

from streamsan.checkers.reports.perfetto_words import on_device
from streamsan.traces.instances import LEGACY
from streamsan.traces.model import NONE, Trace
from streamsan.traces.ops import Kind

HOST = 1
_DEVICES = 1000
_LEGACY_ID = 7
_STEP, _CALL, _WORK_AFTER, _WORK = 10_000, 4_000, 5_000, 4_000
"""Without times: ns an op, of its call, from the call to the work, of the work."""


class Slice(NamedTuple):
    """A stretch of a track, in ns since the trace's first time."""

    pid: int
    tid: int
    begin: int
    end: int

    @property
    def middle(self) -> int:
        """A time within it."""
        return (self.begin + self.end) // 2


class Places:
    """Places the ops of one trace, in issue order, each once."""

    def __init__(self, trace: Trace) -> None:
        """Place every op."""
        self.trace = trace
        self.threads = {
            trace.names[name]: tid
            for tid, name in enumerate(dict.fromkeys(trace.thread.tolist()), 1)
        }
        self.stream_ids = _stream_ids(trace)
        known = [
            int(column[column != NONE].min())
            for column in (trace.t, trace.begin)
            if (column != NONE).any()
        ]
        self.timed = bool(known)
        self.base = min(known, default=0)
        self._free: dict[tuple[int, int], int] = {}
        self._calls: list[Slice] = []
        self._works: list[Slice | None] = []
        for op in range(len(trace)):
            call = self._place_call(op)
            self._calls.append(call)
            self._works.append(self._place_work(op, call))

    def pid(self, device: int) -> int:
        """Give a device's process."""
        return _DEVICES + device

    def correlation(self, op: int) -> int:
        """Give an op's correlation id; in issue order, the one after it being free too."""
        return 2 * op + 1

    def call(self, op: int) -> Slice:
        """Give the call on the host."""
        call = self._calls[op]
        return call if self.waiting(op) is None else call._replace(end=call.middle)

    def work(self, op: int) -> Slice | None:
        """Give the work on the device; None where there is none."""
        return self._works[op]

    def main(self, op: int) -> Slice:
        """Give where an op happens."""
        return self._works[op] or self._calls[op]

    def waiting(self, op: int) -> Slice | None:
        """Give the second half of a blocking copy's call, in which it synchronises its stream."""
        if self.trace.kind[op] != Kind.MEMCPY or not waits_for_stream(self.trace, op):
            return None
        call = self._calls[op]
        return call._replace(begin=call.middle)

    def _place_call(self, op: int) -> Slice:
        trace = self.trace
        track = HOST, self.threads[trace.names[trace.thread[op]]]
        if not self.timed:
            return Slice(*track, op * _STEP, op * _STEP + _CALL)
        return self._on(track, int(trace.t[op]), int(trace.t_end[op]))

    def _place_work(self, op: int, call: Slice) -> Slice | None:
        trace, stream = self.trace, int(self.trace.streams.of_op[op])
        if stream < 0 or not on_device(trace, op):
            return None
        track = self.pid(trace.streams.device[stream]), self.stream_ids[stream]
        if not self.timed:
            begin = op * _STEP + _WORK_AFTER
            return Slice(*track, begin, begin + _WORK)
        if trace.begin[op] == NONE:
            self._free[track] = max(self._free.get(track, 0), call.begin)
        return self._on(track, int(trace.begin[op]), int(trace.end[op]))

    def _on(self, track: tuple[int, int], begin: int, end: int) -> Slice:
        """Place a slice on its track; one that would cut another stands after it."""
        free = self._free.get(track, 0)
        start = free if begin == NONE else max(free, begin - self.base)
        stop = start if end == NONE else max(start, end - self.base)
        self._free[track] = stop
        return Slice(*track, start, stop)


def _stream_ids(trace: Trace) -> list[int]:
    """Number the streams of each device as the profiler does: 7 is the legacy one."""
    found: list[int] = []
    nexts: dict[int, int] = {}
    for legacy, device in zip(trace.streams.legacy, trace.streams.device, strict=True):
        if legacy:
            found.append(_LEGACY_ID)
        else:
            found.append(nexts.get(device, _LEGACY_ID + 1))
            nexts[device] = found[-1] + 1
    return found


def waits_for_stream(trace: Trace, op: int) -> bool:
    """Whether a copy is a framework's blocking one: it waits for its stream (detail 1)."""
    view = trace[op]
    if view.bit("async_") is not False:
        return False
    default = "legacy" if view.stream == LEGACY else "stream"
    return (view.bit("wait") or default) == "stream"
