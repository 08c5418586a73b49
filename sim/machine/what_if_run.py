"""One run of a replay: when everything ran, who was busy, and for whom the host waited."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from streamsan.sim.machine.timeline_modelled import Engine, engines_of
from streamsan.sim.machine.timeline_recorded import Timed
from streamsan.sim.machine.timeline_run import Steps
from streamsan.traces.model import NONE


class Blocked(NamedTuple):
    """A wait of the host: how long, and the op that it waited for last."""

    op: int
    thread: str
    ns: int
    for_op: int


@dataclass(frozen=True, eq=False)
class Run:
    """When everything ran.

    Args:
        timed: the timeline.
        times: by moment, when it came; ``NONE`` for what never did.
        steps: the steps that were changed.
    """

    timed: Timed
    times: list[int]
    steps: Steps

    @property
    def recorded(self) -> bool:
        """Whether it rests on recorded times, and not on a model."""
        return self.timed.line.recorded

    @property
    def stuck(self) -> bool:
        """Whether something never came."""
        return self.timed.line.hangs or NONE in self.times

    @cached_property
    def start(self) -> int:
        """When the run began."""
        return min(self.timed.seen, default=0)

    @cached_property
    def makespan(self) -> int:
        """How long it took, or went on until it hung."""
        return max(max(self.times, default=0) - self.start, 0)

    @cached_property
    def waits(self) -> dict[int, int]:
        """How much longer than by themselves calls took, by op."""
        line, times, found = self.timed.line, self.times, {}
        for op in line.waiting:
            call, back = line.call[op], line.back[op]
            if times[back] != NONE:
                lag = self.steps[back].lag if back in self.steps else line.moments.lag[back]
                found[op] = times[back] - times[call] - lag
        return found

    @cached_property
    def blocked(self) -> tuple[Blocked, ...]:
        """The waits of the host, in the order of their ends."""
        line, times = self.timed.line, self.times
        ops = {end: op for op, end in enumerate(line.end) if end >= 0}
        ops |= {back: op for op, back in enumerate(line.back) if back >= 0}
        found, late = [], [op for op, ns in self.waits.items() if ns]
        for op in sorted(late, key=lambda op: times[line.back[op]]):
            step = self.steps.get(line.back[op], line.moments.step(line.back[op]))
            last = max(step.others, key=lambda moment: times[moment])
            thread = f"host:{line.trace.names[int(line.trace.thread[op])]}"
            found.append(Blocked(op, thread, self.waits[op], ops.get(last, op)))
        return tuple(found)

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """Beginning and end of each op's work, from the beginning of the run."""
        line, times = self.timed.line, self.times
        return {
            op: (times[line.begin[op]] - self.start, times[line.end[op]] - self.start)
            for op in line.works
            if times[line.end[op]] != NONE
        }

    @cached_property
    def streams(self) -> dict[str, int]:
        """How long each stream was busy."""
        line = self.timed.line
        label, of_op = line.trace.streams.label, line.trace.streams.of_op.tolist()
        found = {label[of_op[op]]: 0 for op, at in enumerate(line.begin) if at >= 0 <= of_op[op]}
        for op, (begin, end) in self.spans.items():
            if of_op[op] >= 0:
                found[label[of_op[op]]] += end - begin
        return found

    @cached_property
    def engines(self) -> dict[str, int]:
        """How long each engine was busy, with one thing or more."""
        spans, until = self.spans, dict[str, int]()
        names, plain = engines_of(self.timed.line.trace), [engine.value for engine in Engine]
        of_devices = bool(set(names.values()) - set(plain))
        found = dict.fromkeys(sorted({*names.values()}) if of_devices else plain, 0)
        for op in sorted(spans.keys() & names.keys(), key=lambda op: spans[op]):
            (begin, end), name = spans[op], names[op]
            begin = max(begin, until.get(name, begin))
            found[name] += max(0, end - begin)
            until[name] = max(begin, end)
        return found
