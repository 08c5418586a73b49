"""Exploration: which outcomes a program's legal schedules have, and how often each comes.

Exhaustive search goes through the states that stubborn sets reach, the earliest first, and joins
equal ones: within its bound every outcome is found. Where a set has one line there is no choice.
For more than that see ``sample.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

from streamsan.sim.machine import schedule
from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.outcome import Outcome, outcome_of
from streamsan.sim.machine.pairs import Conflicts, Order
from streamsan.sim.machine.program import Program
from streamsan.sim.machine.reduce import Dependence, stubborn
from streamsan.sim.machine.state import State, enabled, initial, step
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics

MAX_STATES = 20_000
"""States with a choice that exhaustive search visits unless told otherwise."""
K = TypeVar("K", State, Outcome)


class Found(NamedTuple):
    """An outcome, how many schedules came to it, and one of them."""

    outcome: Outcome
    times: int
    schedule: str


@dataclass(frozen=True)
class Exploration:
    """What a search found; ``complete`` where no schedule can have another outcome.

    ``states`` are those from which more than one line was tried (of runs by chance: all).
    """

    program: Program
    found: tuple[Found, ...]
    complete: bool
    states: int
    schedules: int
    orders: frozenset[Order]


MAX_STEPS = 400_000
"""Steps that runs take in all from where the bound was hit to their ends."""


class Path(NamedTuple):
    """The steps of a run, last one first."""

    line: int
    before: Path | None


Level = dict[State, tuple[int, Path | None]]
"""States, each with the number of runs that come to it, and one of them."""


def explore(
    trace: Trace | Program,
    *,
    semantics: Semantics | None = None,
    max_states: int = MAX_STATES,
    reduce: bool = True,
) -> Exploration:
    """Search all schedules.

    Args:
        trace: the trace, or its program.
        semantics: switches; those of the trace's header by default.
        max_states: when so many states have been visited, runs that are not over are led to one
            end each (as many as ``MAX_STEPS`` allow), and ``complete`` is false.
        reduce: try stubborn sets only; without, every line at every state (for comparison).
    """
    program = trace if isinstance(trace, Program) else compile_trace(trace, semantics)
    search = _Search(program, reduce=reduce)
    search.go(max_states)
    complete = not search.pending
    left = {state: runs for level in search.pending.values() for state, runs in level.items()}
    for state, (times, path) in _few(program, left):
        end, whole = search.first_end(state, path)
        count(search.ends, outcome_of(program, end), times, whole)
    return exploration(program, search.ends, complete, search.states, search.orders)


class _Search:
    """The states to go on from, by how many steps they are from the beginning."""

    def __init__(self, program: Program, *, reduce: bool) -> None:
        """Start with nothing run."""
        self.program, self.reduce = program, reduce
        self.dependence, self.conflicts = Dependence(program), Conflicts(program)
        self.orders: set[Order] = set()
        self.ends: dict[Outcome, tuple[int, Path | None]] = {}
        self.pending: dict[int, Level] = {}
        self.choices: dict[State, list[int]] = {}
        self.states = 0
        self._reach(initial(program), 1, None)

    def go(self, max_states: int) -> None:
        """Search until nothing is left, or so many states have been gone on from."""
        while self.pending:
            depth = min(self.pending)
            level = self.pending[depth]
            if self.states + len(level) > max_states:
                return
            del self.pending[depth]
            self.states += len(level)
            for state, (times, path) in level.items():
                for line in self.choices.pop(state):
                    self.orders.update(self.conflicts.begun(state, line))
                    self._reach(step(self.program, state, line), times, Path(line, path))

    def _reach(self, state: State, times: int, path: Path | None) -> None:
        """Go on to where there is a choice, or to the end."""
        lines = self._to_try(state)
        while len(lines) == 1:
            self.orders.update(self.conflicts.begun(state, lines[0]))
            state, path = step(self.program, state, lines[0]), Path(lines[0], path)
            lines = self._to_try(state)
        if not lines:
            count(self.ends, outcome_of(self.program, state), times, path)
            return
        self.choices[state] = lines
        count(self.pending.setdefault(sum(state.progress), {}), state, times, path)

    def _to_try(self, state: State) -> list[int]:
        lines = enabled(self.program, state)
        return stubborn(self.dependence, state, lines) if self.reduce else lines

    def first_end(self, state: State, path: Path | None) -> tuple[State, Path | None]:
        """Lead a run to one of its ends: always the first line that can step."""
        while lines := enabled(self.program, state):
            line = lines[0]
            self.orders.update(self.conflicts.begun(state, line))
            state, path = step(self.program, state, line), Path(line, path)
        return state, path


def _few(program: Program, level: Level) -> list[tuple[State, tuple[int, Path | None]]]:
    """Give runs to be led to an end: all of them, or of a large program as many as take seconds."""
    done = min((sum(state.progress) for state in level), default=0)
    left = max(2 * program.size - done, 1)
    return list(islice(level.items(), max(MAX_STEPS // left, 1)))


def count(table: dict[K, tuple[int, Path | None]], key: K, times: int, path: Path | None) -> None:
    """Add runs that come to a key; the first path to it is kept."""
    already = table.get(key)
    table[key] = (times, path) if already is None else (already[0] + times, already[1])


def exploration(
    program: Program,
    ends: dict[Outcome, tuple[int, Path | None]],
    complete: bool,
    states: int,
    orders: set[Order],
) -> Exploration:
    """Name the outcomes, the most frequent first, each with its schedule."""
    ranked = sorted(ends.items(), key=lambda item: (-item[1][0], item[0]))
    found = tuple(
        Found(outcome, times, schedule.short(program, _steps(path)))
        for outcome, (times, path) in ranked
    )
    total = sum(each.times for each in found)
    return Exploration(program, found, complete, states, total, frozenset(orders))


def _steps(path: Path | None) -> list[int]:
    found = []
    while path is not None:
        found.append(path.line)
        path = path.before
    return found[::-1]
