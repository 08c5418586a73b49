"""What is changed of a run, and which steps of its timeline that changes.

Three changes are of the program, and tell what waits for what anew (``what_if_program.py``): a copy
made asynchronous, an op moved to another stream, and the end of an op that others are bound to.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamsan.sim.machine.timeline_moments import NOWHERE, Step
from streamsan.sim.machine.timeline_recorded import Timed
from streamsan.traces.ops import Kind


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a run; its parts add up.

    Args:
        remove: ops that are left out. Stream order goes through them; their calls take no time.
        asynchronous: copies that are made asynchronous; a pageable download waits all the same.
        move: (op, stream): work that goes to another stream.
        edge: (op, op): the second one's stream waits for the first, by an event recorded after it.
        unblock: calls that no longer wait.
        reads: (op, copy): the host's use of what an unblocked copy brings, which waits instead.
        hold: (op, ops): work that waits for these ops itself.
        narrow: (wait, ops): a wait that covers only these ops, and what is before them.
        aside: (wait, copy, ops): a download that goes to a stream of its own, which waits only
            for these ops; the host's wait is then for the download alone.
        shrink: (copy, share): a copy that moves only a share of its bytes.
    """

    remove: tuple[int, ...] = ()
    asynchronous: tuple[int, ...] = ()
    move: tuple[tuple[int, str], ...] = ()
    edge: tuple[tuple[int, int], ...] = ()
    unblock: tuple[int, ...] = ()
    reads: tuple[tuple[int, int], ...] = ()
    hold: tuple[tuple[int, tuple[int, ...]], ...] = ()
    narrow: tuple[tuple[int, tuple[int, ...]], ...] = ()
    aside: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    shrink: tuple[tuple[int, float], ...] = ()


def changed_steps(timed: Timed, change: Change) -> dict[int, Step]:
    """Give the steps of a timeline that a change changes, by moment."""
    return _Steps(timed, change).changed


class _Steps:
    def __init__(self, timed: Timed, change: Change) -> None:
        """Apply the change, part by part."""
        self._timed, self._line = timed, timed.line
        self.changed: dict[int, Step] = {}
        for first, second in change.edge:
            self._edge(first, second)
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
        return self._line.moments.step(moment) if found is None else found

    def _ends(self, ops: tuple[int, ...]) -> list[int]:
        return [self._line.end[op] for op in ops if self._line.end[op] >= 0]

    def _edge(self, first: int, second: int) -> None:
        line, usual = self._line, self._timed.usual
        # two more calls: a record after the first op, and a wait before the second
        for moment in (line.back[first], line.back[second], line.begin[second]):
            if moment >= 0:
                step = self._step(moment)
                self.changed[moment] = step._replace(lag=step.lag + usual.call)
        record = self._work_of(first, range(first, -1, -1))
        wait = self._work_of(second, range(second, len(line.trace)))
        if first >= second or record < 0:  # of what is not recorded yet, nothing waits
            return
        waits = [line.begin[wait]] if wait >= 0 else []
        if line.trace.kind[second] == Kind.STREAM_SYNCHRONIZE:
            waits.append(line.back[second])
        for moment in waits:
            step = self._step(moment)
            self.changed[moment] = step._replace(others=[*step.others, line.end[record]])

    def _work_of(self, op: int, near: range) -> int:
        """Give the op itself or the nearest one of its stream that is work; -1 for none."""
        line, of_op = self._line, self._line.trace.streams.of_op
        return next((n for n in near if of_op[n] == of_op[op] and line.begin[n] >= 0), NOWHERE)

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
