"""A run told op by op: what each did, on which line, and what it got."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streamsan.sim.machine.outcome import FREES, buffer_of, got_words
from streamsan.sim.machine.program import Action, LineKind, Program, Touch
from streamsan.sim.machine.schedule import follow, read
from streamsan.sim.machine.state import State, initial, next_action


class Beat(NamedTuple):
    """An action as a run does it; ``begins`` or ``ends`` where others come in between.

    ``touches``: whether it touches memory that the program keeps. ``got`` are the values that its
    reads of bytes found, in words; empty for an action that reads nothing, or only begins.
    """

    line: int
    op: int
    words: str
    got: str
    touches: bool


def tell(program: Program, schedule: str) -> list[Beat]:
    """Tell the steps that a schedule names, in their order.

    Raises:
        ScheduleError: it cannot be read, or this program cannot follow it.
    """
    return told(program, read(program, schedule))


def told(program: Program, steps: list[int]) -> list[Beat]:
    """Tell a run step by step; the start and the end of an action are one where nothing is between.

    Raises:
        ScheduleError: a step that its line cannot take.
    """
    found: list[Beat] = []
    before, open_at = initial(program), -1
    for turn, state in enumerate(follow(program, steps)):
        line = steps[turn]
        action = next_action(program, before, line)
        if action is not None:
            begun = bool(state.progress[line] & 1)
            at_once = open_at == turn - 1 and bool(before.progress[line] & 1)
            if at_once and found and found[-1].line == line:
                found.pop()
            whole = at_once or not action.split
            phase = "begins: " if begun else "" if whole else "ends: "
            got = "" if begun else _got(program, state, action)
            words = phase + does(program, line, action)
            found.append(Beat(line, action.op, words, got, bool(action.touches)))
            open_at = turn if begun else open_at
        before = state
    return found


def _got(program: Program, state: State, action: Action) -> str:
    """Say what an action's reads of bytes found; of several, of which buffer."""
    reads = [t for t in action.touches if not t.write and not t.life]
    texts = [got_words(program, state.seen[touch.entry]) for touch in reads]
    if len(texts) == 1:
        return texts[0]
    names = (buffer_of(program, touch.slots[0]) for touch in reads)
    return "; ".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True))


def does(program: Program, line: int, action: Action) -> str:
    """Say what an action does: its op, and what it reads and writes of the memory that is kept."""
    kind, view = program.lines[line].kind, program.trace[action.op]
    if kind is LineKind.TAKEN:
        return f"the next owner writes {_names(program, action.touches)} (freed by op {action.op})"
    if kind is LineKind.ESCAPE:
        return f"unseen host code touches {_names(program, action.touches)} (op {action.op})"
    node = program.writer_of(action.writer)[1]
    name = view.word if view.name == view.word else f"{view.word} {view.name}"
    head = f"op {action.op} {name}" + ("" if node is None else f", node {node}")
    parts = []
    for word, write in (("reads", False), ("writes", True)):
        names = _names(program, (t for t in action.touches if t.write is write and not t.life))
        if names:
            parts.append(f"{word} {names}")
    if view.kind in FREES or any(t.life and t.write for t in action.touches):
        parts.append("the block ends" if view.kind in FREES else "the block begins")
    return f"{head}: {', '.join(parts)}" if parts else head


def _names(program: Program, touches: Iterable[Touch]) -> str:
    return ", ".join(dict.fromkeys(buffer_of(program, touch.slots[0]) for touch in touches))


def parting(one: list[Beat], other: list[Beat]) -> int:
    """Give the number of beats that two runs have in common at their beginning."""
    together = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        together += 1
    return together


def lines_of(beats: Iterable[Beat]) -> list[int]:
    """Give the lines that take part, in the order in which they first act."""
    return list(dict.fromkeys(beat.line for beat in beats))
