"""A schedule: which line takes each step, as a short printable string that replays anywhere.

``S1:4f1c:a3b2a1`` is a schedule of version 1 for a program whose checksum is ``4f1c``: three steps
of line a, two of b, one of a. Lines are lettered in the order of the program, a to z, then aa, ab.
After its last step the first line that can step goes on, until none can.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby

from streamsan.sim.machine.program import Program
from streamsan.sim.machine.state import State, can_step, enabled, initial, step

VERSION = "S1"
_FORM = re.compile(r"S1:([0-9a-f]{4}):((?:[a-z]+[1-9][0-9]*)*)")
_RUN = re.compile(r"([a-z]+)([0-9]+)")


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


def checksum(program: Program) -> str:
    """Give four digits that tell this program's lines from those of others."""
    shape = [(line.label, [(a.op, a.split) for a in line.actions]) for line in program.lines]
    return f"{zlib.crc32(repr(shape).encode()) & 0xFFFF:04x}"


def write(program: Program, steps: Iterable[int]) -> str:
    """Write the lines of a run's steps as a schedule."""
    runs = "".join(f"{letters(line)}{len(list(group))}" for line, group in groupby(steps))
    return f"{VERSION}:{checksum(program)}:{runs}"


def read(program: Program, schedule: str) -> list[int]:
    """Read a schedule.

    Raises:
        ScheduleError: it is none, or one of another trace.
    """
    match = _FORM.fullmatch(schedule)
    if match is None:
        raise ScheduleError(f"{schedule[:80]!r} is no schedule: it looks like S1:4f1c:a3b2")
    if match[1] != checksum(program):
        raise ScheduleError("the schedule is one of another trace, or of other semantics")
    found: list[int] = []
    for word, count in _RUN.findall(match[2]):
        line = _number(word)
        if line >= len(program.lines) or int(count) > 2 * program.size:
            raise ScheduleError(f"the schedule has steps that the trace has not: {word}{count}")
        found += [line] * int(count)
    return found


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
