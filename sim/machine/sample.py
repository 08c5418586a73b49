"""Runs by chance: random ones, and by priorities that change (PCT). They find what they find."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from streamsan.sim.machine.explore import Exploration, Path, count, exploration
from streamsan.sim.machine.issue import compile_trace
from streamsan.sim.machine.outcome import Outcome, outcome_of
from streamsan.sim.machine.pairs import Conflicts, Order
from streamsan.sim.machine.program import Program
from streamsan.sim.machine.state import State, enabled, initial, step
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics

Choose = Callable[[Program, State, list[int]], int]
"""Which of the lines that can step goes on."""


def sample(
    trace: Trace | Program, choosers: Iterator[Choose], semantics: Semantics | None = None
) -> Exploration:
    """Run the program once for each way of choosing."""
    program = trace if isinstance(trace, Program) else compile_trace(trace, semantics)
    conflicts = Conflicts(program)
    orders: set[Order] = set()
    ends: dict[Outcome, tuple[int, Path | None]] = {}
    seen: set[State] = set()
    for choose in choosers:
        state, path = initial(program), None
        while lines := enabled(program, state):
            seen.add(state)
            line = choose(program, state, lines)
            orders.update(conflicts.begun(state, line))
            state, path = step(program, state, line), Path(line, path)
        count(ends, outcome_of(program, state), 1, path)
    return exploration(program, ends, complete=False, states=len(seen), orders=orders)


def explore_random(
    trace: Trace | Program, runs: int, seed: int = 0, semantics: Semantics | None = None
) -> Exploration:
    """Run ``runs`` schedules, every choice with equal chances."""

    def choosers() -> Iterator[Choose]:
        rng = random.Random(seed)  # noqa: S311 - schedules are no secret
        for _ in range(runs):
            yield lambda _program, _state, lines: rng.choice(lines)

    return sample(trace, choosers(), semantics)


def explore_pct(
    trace: Trace | Program,
    depth: int,
    runs: int = 100,
    seed: int = 0,
    semantics: Semantics | None = None,
) -> Exploration:
    """Run schedules by priorities that change at ``depth - 1`` random steps (PCT).

    A bug that needs ``depth`` orderings is found by one run with a chance of at least
    1 / (lines * steps ** (depth - 1)) (Burckhardt and others, 2010).

    Raises:
        ValueError: a depth below 1.
    """
    if depth < 1:
        raise ValueError("PCT needs a depth of at least 1")
    program = trace if isinstance(trace, Program) else compile_trace(trace, semantics)
    rng = random.Random(seed)  # noqa: S311 - schedules are no secret
    return sample(program, (_by_priority(program, depth, rng) for _ in range(runs)))


def _by_priority(program: Program, depth: int, rng: random.Random) -> Choose:
    rank = list(range(depth, depth + len(program.lines)))
    rng.shuffle(rank)
    steps = max(2 * program.size, 1)
    changes = {rng.randrange(steps): low for low in range(1, depth)}

    def choose(_program: Program, state: State, lines: list[int]) -> int:
        line = max(lines, key=rank.__getitem__)
        low = changes.pop(sum(state.progress), None)
        if low is not None:
            rank[line] = low
            line = max(lines, key=rank.__getitem__)
        return line

    return choose
