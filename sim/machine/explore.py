"""Exploration: which outcomes a program's legal schedules have, and how often each comes.

Exhaustive search goes level by level through the states that a stubborn set reaches, and joins
equal ones: within its bound every outcome is found. For more than that see ``sample.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
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
"""Distinct states that exhaustive search visits unless told otherwise."""
K = TypeVar("K", State, Outcome)


class Found(NamedTuple):
    """An outcome, how many schedules came to it, and one of them."""

    outcome: Outcome
    times: int
    schedule: str


@dataclass(frozen=True)
class Exploration:
    """What a search found; ``complete`` where no schedule can have another outcome."""

    program: Program
    found: tuple[Found, ...]
    complete: bool
    states: int
    schedules: int
    orders: frozenset[Order]


class Path(NamedTuple):
    """The steps of a run, last one first."""

    line: int
    before: Path | None


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
        max_states: when so many states have been visited, every run that is not over is led to
            one end, and ``complete`` is false.
        reduce: try stubborn sets only; without, every line at every state (for comparison).
    """
    program = trace if isinstance(trace, Program) else compile_trace(trace, semantics)
    dependence, conflicts = Dependence(program), Conflicts(program)
    orders: set[Order] = set()
    level: dict[State, tuple[int, Path | None]] = {initial(program): (1, None)}
    ends: dict[Outcome, tuple[int, Path | None]] = {}
    states, complete = 0, True
    while level:
        if states + len(level) > max_states:
            complete = False
            break
        states += len(level)
        following: dict[State, tuple[int, Path | None]] = {}
        for state, (times, path) in level.items():
            lines = enabled(program, state)
            if not lines:
                count(ends, outcome_of(program, state), times, path)
            for line in stubborn(dependence, state, lines) if reduce else lines:
                orders.update(conflicts.begun(state, line))
                count(following, step(program, state, line), times, Path(line, path))
        level = following
    if not complete:
        for state, (times, path) in level.items():
            end, whole = _first_end(program, conflicts, state, path, orders)
            count(ends, outcome_of(program, end), times, whole)
    return exploration(program, ends, complete, states, orders)


def count(table: dict[K, tuple[int, Path | None]], key: K, times: int, path: Path | None) -> None:
    """Add runs that come to a key; the first path to it is kept."""
    already = table.get(key)
    table[key] = (times, path) if already is None else (already[0] + times, already[1])


def _first_end(
    program: Program,
    conflicts: Conflicts,
    state: State,
    path: Path | None,
    orders: set[Order],
) -> tuple[State, Path | None]:
    """Lead a run to one of its ends: always the first line that can step."""
    while lines := enabled(program, state):
        line = lines[0]
        orders.update(conflicts.begun(state, line))
        state, path = step(program, state, line), Path(line, path)
    return state, path


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
        Found(outcome, times, schedule.write(program, _steps(path)))
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
