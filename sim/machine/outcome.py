"""What a run came to: what every read got, what the memory holds at its end, and who is stuck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamsan.sim.machine.program import (
    BEFORE,
    MIXED,
    UNALLOCATED,
    UNINITIALISED,
    Program,
    half_of,
)
from streamsan.sim.machine.state import State
from streamsan.sim.machine.stuck import Stuck, in_vain, stuck_lines
from streamsan.traces.ops import Kind

FREES = (Kind.FREE, Kind.FREE_ASYNC)
_WORDS = {
    BEFORE: "what was there before",
    UNINITIALISED: "uninitialised memory",
    MIXED: "bytes of several ops",
    UNALLOCATED: "memory not allocated yet",
}


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


def in_words(program: Program, value: int) -> str:
    """Say what a value is."""
    if value < 0 and half_of(value) is None:
        return _WORDS[value]
    op, node = program.writer_of(value)
    own = "" if node is None else f"node {node} of "
    if half_of(value) is not None:
        return f"half of what {own}op {op} writes"
    if op is not None and node is None and program.trace.kind[op] in FREES:
        return f"memory that op {op} freed"
    return f"what {own}op {op} wrote"


class Saw(NamedTuple):
    """What one access of an op found, slot by slot."""

    op: int
    access: int
    buffer: str
    got: tuple[int, ...]


def sights(program: Program, outcome: Outcome) -> Iterator[Saw]:
    """Give what every read of bytes found that has run, in issue order."""
    found = [
        Saw(touch.op, touch.access, buffer_of(program, touch.slots[0]), values)
        for touch, values in zip(program.entries, outcome.reads, strict=True)
        if values and not touch.life
    ]
    yield from sorted(found)


def buffer_of(program: Program, slot: int) -> str:
    """Give the name of the buffer that a slot is in."""
    return program.trace.names[int(program.trace.buffers.name[program.slots[slot].buffer])]


def got_words(program: Program, values: Iterable[int]) -> str:
    """Say what a reader got, each value once."""
    return ", ".join(dict.fromkeys(in_words(program, value) for value in values))


def describe(program: Program, outcome: Outcome) -> list[str]:
    """Say what each read got, one line each, and which ops are stuck."""
    found = [
        f"op {saw.op} read {saw.buffer}: {got_words(program, saw.got)}"
        for saw in sights(program, outcome)
    ]
    return found + in_vain(program, outcome.stuck)
