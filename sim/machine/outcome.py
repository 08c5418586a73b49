"""What a run came to: what every read got, what the memory holds at its end, and who is stuck."""

from __future__ import annotations

from typing import NamedTuple

from streamsan.sim.machine.program import (
    BEFORE,
    MIXED,
    UNALLOCATED,
    UNINITIALISED,
    Program,
    half_of,
)
from streamsan.sim.machine.state import State, is_over, next_action

_WORDS = {
    BEFORE: "what was there before",
    UNINITIALISED: "uninitialised memory",
    MIXED: "bytes of several ops",
    UNALLOCATED: "memory not allocated yet",
}


class Stuck(NamedTuple):
    """A line that can never go on, and the line that it waits for; -1 for a value."""

    line: int
    op: int
    waits_for: int


class Outcome(NamedTuple):
    """What tells one run from another.

    ``reads`` are the values that each read found, slot by slot, in the order of
    ``Program.entries``; ``final`` the values at the end of the slots of blocks that live on, and of
    every life.
    """

    reads: tuple[tuple[int, ...], ...]
    final: tuple[tuple[int, int], ...]
    stuck: tuple[Stuck, ...]


def outcome_of(program: Program, state: State) -> Outcome:
    """Give the outcome of a state in which no line can step."""
    final = tuple(
        (index, state.memory[index])
        for index, slot in enumerate(program.slots)
        if not slot.pieces or slot.buffer not in program.freed
    )
    return Outcome(state.seen, final, stuck_lines(program, state))


def stuck_lines(program: Program, state: State) -> tuple[Stuck, ...]:
    """Give the lines that wait in vain."""
    if is_over(program, state):
        return ()
    found = []
    for line in range(len(program.lines)):
        action = next_action(program, state, line)
        if action is not None:
            late = [other for other, n in action.guards if state.progress[other] < 2 * n]
            found.append(Stuck(line, action.op, late[0] if late else -1))
    return tuple(found)


def circle(stuck: tuple[Stuck, ...]) -> tuple[Stuck, ...]:
    """Give the lines that wait for each other in a circle; empty where something is never done."""
    by_line = {each.line: each for each in stuck}
    for first in stuck:
        path = [first]
        while path[-1].waits_for in by_line:
            following = by_line[path[-1].waits_for]
            if following in path:
                return tuple(path[path.index(following) :])
            path.append(following)
    return ()


def in_words(value: int) -> str:
    """Say what a value is."""
    part = half_of(value)
    if part is not None:
        return f"half of what op {part} writes"
    return _WORDS.get(value) or f"what op {value} wrote"


def describe(program: Program, outcome: Outcome) -> list[str]:
    """Say what each read got, one line each, and which ops are stuck."""
    found = []
    for touch, values in zip(program.entries, outcome.reads, strict=True):
        if touch.life or not values:
            continue
        words = ", ".join(dict.fromkeys(map(in_words, values)))
        buffer = program.trace.names[
            int(program.trace.buffers.name[program.slots[touch.slots[0]].buffer])
        ]
        found.append(f"op {touch.op} read {buffer}: {words}")
    found += [f"op {each.op} on {program.lines[each.line].label} waits for ever"
              for each in outcome.stuck]  # fmt: skip
    return found
