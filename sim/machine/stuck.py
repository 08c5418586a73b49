"""Runs that end before their time: which lines wait in vain, for whom, and in which circle.

Nothing is ever disabled once it is enabled, so every schedule of a program that hangs ends with
the same lines stuck: one run shows it (SO601 to SO603).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streamsan.sim.machine.program import Program
from streamsan.sim.machine.state import State, is_over, next_action


class Stuck(NamedTuple):
    """A line that can never go on, and the lines that it waits for; none where no line helps it.

    ``address`` is the index of the value that it waits for, -1 where it waits for lines.
    """

    line: int
    op: int
    waits_for: tuple[int, ...]
    address: int = -1


def stuck_lines(program: Program, state: State) -> tuple[Stuck, ...]:
    """Give the lines that wait in vain."""
    if is_over(program, state):
        return ()
    found = []
    for line in range(len(program.lines)):
        action = next_action(program, state, line)
        if action is None:
            continue
        late = [other for other, n in action.guards if state.progress[other] < 2 * n]
        if late or action.want is None:
            found.append(Stuck(line, action.op, tuple(dict.fromkeys(late))))
        else:
            writers = _writers(program, state, *action.want)
            found.append(Stuck(line, action.op, writers, action.want[0]))
    return tuple(found)


def _writers(program: Program, state: State, address: int, value: int) -> tuple[int, ...]:
    """Give the lines that would still write a value that is enough."""
    return tuple(
        line
        for line, (_, _, actions) in enumerate(program.lines)
        for action in actions[state.progress[line] >> 1 :]
        if action.store is not None and action.store[0] == address and action.store[1] >= value
    )


def circles(stuck: Iterable[Stuck]) -> list[tuple[Stuck, ...]]:
    """Give circles of lines that wait for each other, a shortest one through each line in one.

    Of two that are the same lines one is given. Where something is never done there is none.
    """
    by_line = {each.line: each for each in stuck}
    found: dict[frozenset[int], tuple[Stuck, ...]] = {}
    for line in by_line:
        path = _back_to(by_line, line)
        if path:
            found.setdefault(frozenset(path), tuple(by_line[each] for each in path))
    return list(found.values())


def _back_to(by_line: dict[int, Stuck], start: int) -> list[int]:
    """Give a shortest way from a line over what it waits for back to itself."""
    came: dict[int, int] = {}
    todo = [start]
    for line in todo:
        for other in by_line[line].waits_for:
            if other == start:
                path = [line]
                while path[-1] != start:
                    path.append(came[path[-1]])
                return path[::-1]
            if other in by_line and other not in came:
                came[other] = line
                todo.append(other)
    return []


def in_a_circle(program: Program, circle: tuple[Stuck, ...]) -> list[str]:
    """Say who waits for whom in a circle, one line each; the last waits for the first."""
    found = []
    for each, then in zip(circle, (*circle[1:], circle[0]), strict=True):
        other = program.lines[then.line].label
        what = f"{other}, which is at op {then.op}"
        if each.address >= 0:
            address = program.addresses[each.address]
            what = f"the value at {address}, to be written on {other} after op {then.op}"
        found.append(f"op {each.op} on {program.lines[each.line].label} waits for {what}")
    return found


def in_vain(program: Program, stuck: Iterable[Stuck]) -> list[str]:
    """Say what each line that is in no circle waits for, one line each."""
    found = []
    for each in stuck:
        label = program.lines[each.line].label
        others = [program.lines[other].label for other in each.waits_for]
        what = " and ".join(others) or "what never comes"
        if each.address >= 0:
            writer = f" from {others[0]}" if others else ", which nothing writes"
            what = f"the value at {program.addresses[each.address]}{writer}"
        found.append(f"op {each.op} on {label} waits for ever, for {what}")
    return found
