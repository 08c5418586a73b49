"""A schedule: which line takes each step, as a short printable string that replays anywhere.

``S1:4f1c:(a12b7)a3b2a1`` is a schedule of version 1 for a program whose checksum is ``4f1c``: run
until line a has ended 12 actions and line b 7, in an order that is always the same; then take three
steps of line a, two of b, one of a. Lines are lettered in the order of the program, a to z, then
aa, ab. After its last step the first line that can step goes on, until none can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from streamsan.sim.machine.program import Place, Program
from streamsan.sim.machine.reach import stages, steps_of
from streamsan.sim.machine.state import State, can_step, enabled, initial, step

VERSION = "S1"
LONG = 200
"""Steps from which a run is worth shortening."""
_RUNS = "(?:[a-z]{1,6}[1-9][0-9]{0,8})"
_FORM = re.compile(rf"S1:([0-9a-f]{{4}}):((?:\({_RUNS}+\))*)({_RUNS}*)")
_RUN = re.compile(r"([a-z]+)([0-9]+)")
_STAGE = re.compile(r"\(([^)]*)\)")


class ScheduleError(ValueError):
    """A schedule that cannot be read, or that this program cannot follow."""


def letters(line: int) -> str:
    """Give the letters of a line: a to z, aa, ab, ..."""
    found, line = "", line + 1
    while line:
        line, digit = divmod(line - 1, 26)
        found = chr(ord("a") + digit) + found
    return found


def _number(word: str) -> int:
    found = 0
    for letter in word:
        found = found * 26 + ord(letter) - ord("a") + 1
    return found - 1


def write(program: Program, steps: Iterable[int], counts: Iterable[tuple[int, ...]] = ()) -> str:
    """Write a run as a schedule: up to so many actions of each line, stage by stage, then steps."""
    ahead = "".join(f"({_runs(enumerate(each))})" for each in counts if any(each))
    runs = _runs((line, len(list(group))) for line, group in groupby(steps))
    return f"{VERSION}:{program.checksum}:{ahead}{runs}"


def short(program: Program, steps: list[int]) -> str:
    """Write a complete run; of a long one only what touches memory is written step by step.

    What comes before the first touch of memory can come in any order, and what comes after the
    last one too.
    """
    if len(steps) <= LONG:
        return write(program, steps)
    progress = [0] * len(program.lines)
    first, last, ahead = len(steps), 0, [0] * len(program.lines)
    for turn, line in enumerate(steps):
        action = program.lines[line].actions[progress[line] >> 1]
        if action.touches or action.places:
            if first == len(steps):
                first, ahead = turn, [count >> 1 for count in progress]
            last = turn + 1
        progress[line] += 1 if action.split else 2
    begun = _under_way(program, steps[:first])
    return write(program, begun + steps[first:last], [tuple(ahead)])


def _under_way(program: Program, steps: list[int]) -> list[int]:
    """Give the lines that have begun an action and not ended it."""
    progress = [0] * len(program.lines)
    for line in steps:
        action = program.lines[line].actions[progress[line] >> 1]
        progress[line] += 1 if action.split else 2
    return [line for line, count in enumerate(progress) if count & 1]


def _runs(counts: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{letters(line)}{count}" for line, count in counts if count)


def read(program: Program, schedule: str) -> list[int]:
    """Read a schedule as steps.

    Raises:
        ScheduleError: it is none, or one of another trace.
    """
    match = _FORM.fullmatch(schedule)
    if match is None:
        raise ScheduleError(f"{schedule[:80]!r} is no schedule: it looks like S1:4f1c:a3b2")
    if match[1] != program.checksum:
        raise ScheduleError("the schedule is one of another trace, or of other semantics")
    ahead: list[tuple[int, ...]] = []
    for runs in _STAGE.findall(match[2]):
        counts = [0] * len(program.lines)
        for line, count in _lines(program, runs):
            counts[line] = count
        ahead.append(tuple(counts))
    places = stages(program, ahead)
    _check_stages(program, ahead, places)
    return steps_of(program, places) + [
        line for line, count in _lines(program, match[3]) for _ in range(count)
    ]


def _lines(program: Program, runs: str) -> Iterator[tuple[int, int]]:
    for word, count in _RUN.findall(runs):
        line = _number(word)
        if line >= len(program.lines) or int(count) > 2 * program.size:
            raise ScheduleError(f"the schedule has steps that the trace has not: {word}{count}")
        yield line, int(count)


def _check_stages(program: Program, ahead: list[tuple[int, ...]], places: list[Place]) -> None:
    done = [0] * len(program.lines)
    for place in places:
        done[place.line] += 1
    for line, counts in enumerate(zip(*ahead, strict=True)):
        if done[line] < max(counts):
            label = program.lines[line].label
            raise ScheduleError(f"{label} cannot have ended {max(counts)} actions there")


def follow(program: Program, steps: Iterable[int]) -> Iterator[State]:
    """Give the states of a run from its first step on.

    Raises:
        ScheduleError: a step that its line cannot take.
    """
    state = initial(program)
    for turn, line in enumerate(steps, 1):
        if not can_step(program, state, line):
            label = program.lines[line].label
            raise ScheduleError(f"step {turn}: {label} has to wait, or is at its end")
        state = step(program, state, line)
        yield state


def run_on(program: Program, state: State, steps: list[int] | None = None) -> State:
    """Let the first line that can step go on until none can; note its steps."""
    while lines := enabled(program, state):
        line = lines[0]
        while can_step(program, state, line):
            state = step(program, state, line)
            if steps is not None:
                steps.append(line)
    return state


def replay(program: Program, schedule: str) -> State:
    """Run a schedule, and what is left after it, to the end.

    Raises:
        ScheduleError: it cannot be read, or this program cannot follow it.
    """
    state = initial(program)
    for state in follow(program, read(program, schedule)):  # noqa: B007 - the last one is wanted
        pass
    return run_on(program, state)
