"""What is changed of a run, and which steps of its timeline that changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from streamsan.sim.machine.timeline import NOWHERE
from streamsan.sim.machine.timeline_lags import Timed
from streamsan.traces.ops import Kind


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a run; its parts add up.

    Args:
        remove: ops that are left out. Stream order goes through them; their calls take no time.
        unblock: calls that no longer wait.
        reads: (op, copy): the host's use of what an unblocked copy brings, which waits instead.
        hold: (op, ops): work that waits for these ops itself.
        narrow: (wait, ops): a wait that covers only these ops, and what is before them.
        aside: (wait, copy, ops): a download that goes to a stream of its own, which waits only
            for these ops; the host's wait is then for the download alone.
        shrink: (copy, share): a copy that moves only a share of its bytes.
    """

    remove: tuple[int, ...] = ()
    unblock: tuple[int, ...] = ()
    reads: tuple[tuple[int, int], ...] = ()
    hold: tuple[tuple[int, tuple[int, ...]], ...] = ()
    narrow: tuple[tuple[int, tuple[int, ...]], ...] = ()
    aside: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    shrink: tuple[tuple[int, float], ...] = ()


class Step(NamedTuple):
    """How a moment hangs on others: see ``Moments``."""

    first: int
    lag: int
    others: list[int]
    gap: int


class Steps:
    """The steps that a change changes: ``changed``, by moment."""

    def __init__(self, timed: Timed, change: Change) -> None:
        """Apply the change, part by part."""
        self._timed, self._line = timed, timed.line
        self.changed: dict[int, Step] = {}
        for op, share in change.shrink:
            self._shrink(op, share)
        for wait, copy, ops in change.aside:
            self._aside(wait, copy, ops)
        for wait, ops in change.narrow:
            self._narrow(wait, ops)
        for op, ops in change.hold:
            self._hold(op, ops)
        for op in change.unblock:
            self._unblock(op)
        for op, copy in change.reads:
            self._read(op, copy)
        for op in change.remove:
            self._remove(op)

    def _step(self, moment: int) -> Step:
        found = self.changed.get(moment)
        if found is not None:
            return found
        moments = self._line.moments
        return Step(
            moments.first[moment], moments.lag[moment], moments.others[moment], moments.gap[moment]
        )

    def _ends(self, ops: tuple[int, ...]) -> list[int]:
        return [self._line.end[op] for op in ops if self._line.end[op] >= 0]

    def _unblock(self, op: int) -> None:
        back = self._line.back[op]
        if back >= 0:
            self.changed[back] = self._step(back)._replace(others=[])

    def _remove(self, op: int) -> None:
        line = self._line
        if line.back[op] >= 0:
            self.changed[line.back[op]] = Step(line.call[op], 0, [], 0)
        begin, end = line.begin[op], line.end[op]
        if begin < 0:
            return
        step = self._step(begin)
        others = step.others
        if line.trace.kind[op] == Kind.STREAM_WAIT_EVENT:
            others = [line.before[op]] if line.before[op] >= 0 else []
        if others or step.first >= 0:
            self.changed[begin] = Step(NOWHERE, 0, others, min(step.gap, 0))
        if end != begin:
            self.changed[end] = Step(begin, 0, [], 0)

    def _read(self, op: int, copy: int) -> None:
        back, end = self._line.back[op], self._line.end[copy]
        if back >= 0 and end >= 0:
            step = self._step(back)
            self.changed[back] = step._replace(others=[*step.others, end])

    def _hold(self, op: int, ops: tuple[int, ...]) -> None:
        begin = self._line.begin[op]
        if begin >= 0:
            step = self._step(begin)
            gap = min(step.gap, self._timed.usual.gap)
            self.changed[begin] = step._replace(others=[*step.others, *self._ends(ops)], gap=gap)

    def _narrow(self, wait: int, ops: tuple[int, ...]) -> None:
        line = self._line
        back, begin, ends = line.back[wait], line.begin[wait], self._ends(ops)
        if begin < 0 <= back:
            self.changed[back] = self._step(back)._replace(others=ends)
        elif begin >= 0:
            before = [line.before[wait]] if line.before[wait] >= 0 else []
            self.changed[begin] = self._step(begin)._replace(others=[*before, *ends])

    def _aside(self, wait: int, copy: int, ops: tuple[int, ...]) -> None:
        line = self._line
        begin, end, after = line.begin[copy], line.end[copy], line.next[copy]
        if begin < 0:
            return
        step = self._step(begin)
        if after >= 0:
            later = self._step(after)
            kept = [other for other in later.others if other != end]
            self.changed[after] = later._replace(others=[*kept, *step.others])
        gap = min(step.gap, self._timed.usual.gap)
        self.changed[begin] = step._replace(others=self._ends(ops), gap=gap)
        if wait != copy and line.back[wait] >= 0:
            back = line.back[wait]
            self.changed[back] = self._step(back)._replace(others=[end])

    def _shrink(self, op: int, share: float) -> None:
        begin, end = self._line.begin[op], self._line.end[op]
        if end != begin:
            step = self._step(end)
            self.changed[end] = step._replace(lag=int(step.lag * share))
