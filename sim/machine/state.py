"""The machine's state and its one transition: a line starts its next action, or ends it.

States are values: ``step`` gives a new one. Nothing is ever disabled once it is enabled, and two
steps of different lines commute unless they touch one slot and one of them writes it.
"""

from __future__ import annotations

from typing import NamedTuple

from streamsan.sim.machine.program import (
    MIXED,
    UNINITIALISED,
    Action,
    Program,
    half,
    half_of,
)

NOTHING: tuple[int, ...] = ()
UNPLACED, SHARED, APART = 0, 1, 2
"""A reuse before the allocation; in the former tenant's memory; in other memory."""


class State(NamedTuple):
    """One moment of a run."""

    progress: tuple[int, ...]
    """By line: twice the actions that have ended, plus one while the next one is under way."""
    values: tuple[int, ...]
    """By address: the highest value written to it so far (R45)."""
    memory: tuple[int, ...]
    """By slot: the op that wrote it last, or what stands for none."""
    seen: tuple[tuple[int, ...], ...]
    """By read: the values that it found, slot by slot; empty before it."""
    placed: tuple[int, ...]
    """By reuse: whether the allocation got the former tenant's memory."""


def initial(program: Program) -> State:
    """Give the state before anything has run."""
    return State(
        (0,) * len(program.lines),
        (0,) * len(program.addresses),
        tuple(slot.initial for slot in program.slots),
        (NOTHING,) * len(program.entries),
        (UNPLACED,) * len(program.reuses),
    )


def ended(progress: tuple[int, ...], line: int, count: int) -> bool:
    """Whether so many actions of a line have ended."""
    return progress[line] >= 2 * count


def next_action(program: Program, state: State, line: int) -> Action | None:
    """Give the action that a line is in, or comes to next; None at its end."""
    actions = program.lines[line].actions
    place = state.progress[line] >> 1
    return actions[place] if place < len(actions) else None


def can_step(program: Program, state: State, line: int) -> bool:
    """Whether a line can take a step: what has started can always end."""
    progress = state.progress
    if progress[line] & 1:
        return True
    action = next_action(program, state, line)
    if action is None or any(progress[other] < 2 * count for other, count in action.guards):
        return False
    return action.want is None or state.values[action.want[0]] >= action.want[1]


def enabled(program: Program, state: State) -> list[int]:
    """Give the lines that can take a step."""
    return [line for line in range(len(program.lines)) if can_step(program, state, line)]


def is_over(program: Program, state: State) -> bool:
    """Whether every line is at its end."""
    return all(
        done == 2 * len(line.actions)
        for done, line in zip(state.progress, program.lines, strict=True)
    )


def step(program: Program, state: State, line: int) -> State:
    """Let a line start its next action, or end the one that it is in.

    The line must be able to (``can_step``). An action that others cannot be caught in is one step.
    """
    action = next_action(program, state, line)
    if action is None:
        raise ValueError(f"{program.lines[line].label} is at its end")
    progress = list(state.progress)
    progress[line] += 1 if action.split else 2
    moved = tuple(progress)
    if not action.touches and action.store is None and not action.places:
        return State(moved, state.values, state.memory, state.seen, state.placed)
    seen, memory = list(state.seen), list(state.memory)
    values, placed = state.values, state.placed
    if not state.progress[line] & 1:
        _begin(program, placed, action, seen, memory)
    if not moved[line] & 1:
        _end(program, placed, action, seen, memory)
        if action.store is not None:
            values = _store(values, action.store)
        for reuse in action.places:
            placed = _place(program, moved, placed, reuse, memory)
    return State(moved, values, tuple(memory), tuple(seen), placed)


Seen = list[tuple[int, ...]]
Placed = tuple[int, ...]


def _begin(program: Program, placed: Placed, action: Action, seen: Seen, memory: list[int]) -> None:
    """Take the first look at what is read, then mark what is written as half written."""
    for touch in action.touches:
        if not touch.write:
            seen[touch.entry] = tuple([memory[slot] for slot in touch.slots])
    own = half(action.writer)
    for touch in action.touches:
        if touch.write:
            for slot in touch.slots:
                _set(program, placed, memory, slot, own)


def _end(program: Program, placed: Placed, action: Action, seen: Seen, memory: list[int]) -> None:
    """Look again at what is read, then finish what is written."""
    own = half(action.writer)
    for touch in action.touches:
        if not touch.write:
            looks = zip(seen[touch.entry], touch.slots, strict=True)
            seen[touch.entry] = tuple([_both(first, memory[slot], own) for first, slot in looks])
    for touch in action.touches:
        if touch.write:
            # where others wrote at the same time, there are bytes of both
            for slot in touch.slots:
                value = action.writer if memory[slot] == own else MIXED
                _set(program, placed, memory, slot, value)


def _both(first: int, second: int, own: int) -> int:
    """Give what a reader got of a slot that it found in two ways."""
    if second in (first, own):
        return first
    writer = half_of(second)
    if writer is not None:
        return second
    return half(second) if second >= 0 else MIXED


def _set(program: Program, placed: Placed, memory: list[int], slot: int, value: int) -> None:
    """Write a slot, and what other blocks see of it where they lie in the same memory."""
    memory[slot] = value
    for peer, reuse in program.slots[slot].peers:
        if reuse < 0 or placed[reuse] == SHARED:
            memory[peer] = value


def _store(values: tuple[int, ...], store: tuple[int, int]) -> tuple[int, ...]:
    """Let the value at an address be at least so much."""
    address, value = store
    found = list(values)
    found[address] = max(found[address], value)
    return tuple(found)


def _place(
    program: Program, progress: tuple[int, ...], placed: Placed, index: int, memory: list[int]
) -> Placed:
    """Put a block where a former one lay, if the allocator's own waits are over (detail 5).

    What was left there is as uninitialised as other memory is; what is being written goes on.
    """
    reuse = program.reuses[index]
    over = all(ended(progress, line, count) for line, count in reuse.release)
    if over:
        for former, later in reuse.handed:
            under_way = half_of(memory[former]) is not None
            memory[later] = memory[former] if under_way else UNINITIALISED
    return (*placed[:index], SHARED if over else APART, *placed[index + 1 :])
