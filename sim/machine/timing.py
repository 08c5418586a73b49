"""Time: how long a trace takes, who is busy, and for whom the host waits.

Every line runs its actions one after the other, each after what it waits for; device work also
waits for its engine: one compute queue and two copy engines. Times decide no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streamsan.sim.machine.costs import Costs, Engine, duration, engine_of
from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.program import Action, LineKind
from streamsan.traces.model import Trace

MODEL = Costs()


class Blocked(NamedTuple):
    """A wait of the host: how long, and the op that it waited for last."""

    op: int
    thread: str
    ns: int
    for_op: int


@dataclass(frozen=True)
class Timing:
    """When everything is over, and who was busy for how long (ns). ``stuck``: it never is."""

    makespan: int
    busy: dict[str, int]
    """By stream."""
    engines: dict[str, int]
    blocked: tuple[Blocked, ...]
    spans: dict[int, tuple[int, int]]
    """Begin and end of each op on the device."""
    stuck: bool


@dataclass
class _Clock:
    """The run so far."""

    trace: Trace
    costs: Costs
    ends: list[list[int]] = field(default_factory=list)
    free: dict[Engine, int] = field(default_factory=dict)
    values: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def ready(self, action: Action) -> int | None:
        """Give when what an action waits for is over; None where that is not known yet."""
        latest = 0
        for line, count in action.guards:
            if len(self.ends[line]) < count:
                return None
            latest = max(latest, self.ends[line][count - 1])
        if action.want is not None:
            address, value = action.want
            times = [t for t, written in self.values.get(address, ()) if written >= value]
            if not times:
                return None
            latest = max(latest, min(times))
        return latest


def time_of(trace: Trace, costs: Costs = MODEL) -> Timing:
    """Replay a trace with durations: measured ones where it has them, else those of the model."""
    run = _Run(trace, costs)
    while run.advance():
        pass
    return run.result()


class _Run:
    """A replay in time: always the action that can begin first is begun."""

    def __init__(self, trace: Trace, costs: Costs) -> None:
        """Start at time 0."""
        self.program = compile_trace(trace, watch=(), halves=False)
        self.clock = _Clock(trace, costs, [[] for _ in self.program.lines])
        self.turns = _turns(trace)
        self.marks: dict[str, list[tuple[int, int]]] = {}
        self.open = [n for n, line in enumerate(self.program.lines) if line.actions]
        self.engines: dict[Engine, int] = {}
        self.busy: dict[str, int] = {}
        self.blocked: list[Blocked] = []
        self.spans: dict[int, tuple[int, int]] = {}

    def advance(self) -> bool:
        """Begin and end the next action; false where none can begin any more."""
        best: tuple[int, int] | None = None
        for line in self.open:
            begin = self._begin(line)
            if begin is not None and (best is None or (begin, line) < best):
                best = begin, line
        if best is None:
            return False
        self._do(*best)
        return True

    def _next(self, line: int) -> Action:
        return self.program.lines[line].actions[len(self.clock.ends[line])]

    def _begin(self, line: int) -> int | None:
        action = self._next(line)
        ready = self.clock.ready(action)
        if ready is None:
            return None
        before = self.clock.ends[line]
        begin = max(ready, before[-1] if before else 0, self._called(action))
        engine = self._engine(line, action)
        return begin if engine is None else max(begin, self.clock.free.get(engine, 0))

    def _engine(self, line: int, action: Action) -> Engine | None:
        kinds = (LineKind.STREAM, LineKind.NODE)
        if self.program.lines[line].kind not in kinds:
            return None
        return engine_of(self.clock.trace[action.op])

    def _called(self, action: Action) -> int:
        """Give when the call of an op was made: its thread's last wait, and the calls since."""
        trace = self.clock.trace
        thread = trace.names[int(trace.thread[action.op])]
        turn = self.turns[action.op]
        ended, since = next(
            ((t, n) for n, t in reversed(self.marks.get(thread, [])) if n < turn), (0, -1)
        )
        return ended + (turn - since) * self.clock.costs.launch

    def _do(self, begin: int, line: int) -> None:
        action, clock = self._next(line), self.clock
        view, (label, kind, actions) = clock.trace[action.op], self.program.lines[line]
        engine = self._engine(line, action)
        takes = duration(view, clock.costs) if kind is LineKind.STREAM or engine else 0
        end = begin + takes
        if engine is not None:
            clock.free[engine] = end
            self.engines[engine] = self.engines.get(engine, 0) + takes
            first = self.spans.get(action.op, (begin, end))[0]
            self.spans[action.op] = first, end
        if kind is LineKind.STREAM:
            self.busy[label] = self.busy.get(label, 0) + takes
        if kind is LineKind.THREAD:
            self._wait(action, end, label)
        clock.ends[line].append(end)
        if action.store is not None:
            clock.values.setdefault(action.store[0], []).append((end, action.store[1]))
        if len(clock.ends[line]) == len(actions):
            self.open.remove(line)

    def _wait(self, action: Action, end: int, label: str) -> None:
        """Note how long a thread stood still at a call, and for whom."""
        called = self._called(action)
        if end > called and action.guards:
            line, count = max(action.guards, key=lambda g: self.clock.ends[g[0]][g[1] - 1])
            late = self.program.lines[line].actions[count - 1].op
            self.blocked.append(Blocked(action.op, label, end - called, late))
        thread = label.removeprefix("host:")
        self.marks.setdefault(thread, []).append((self.turns[action.op], end))

    def result(self) -> Timing:
        """Sum up."""
        ends = [ends[-1] for ends in self.clock.ends if ends]
        engines = {engine.value: self.engines.get(engine, 0) for engine in Engine}
        return Timing(
            max(ends, default=0), self.busy, engines, tuple(self.blocked), self.spans,
            bool(self.open),
        )  # fmt: skip


def _turns(trace: Trace) -> list[int]:
    """Give the place of each op among the calls of its thread."""
    seen: dict[int, int] = {}

    def places() -> Iterator[int]:
        for thread in trace.thread.tolist():
            seen[thread] = seen.get(thread, -1) + 1
            yield seen[thread]

    return list(places())
