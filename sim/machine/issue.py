"""From a Trace to a Program: every op is issued once, in the order of the file.

Not modelled: what host code may do after a ``host_escape``, and slots, regions and remarks, which
touch nothing. An access after the free of its buffer's name is an access of the freed block.
"""

from __future__ import annotations

from collections.abc import Collection

from streamsan.sim.machine import device_ops, host_ops, memory_ops
from streamsan.sim.machine.cells import Memory, lay_out
from streamsan.sim.machine.draft import Draft, DraftAction
from streamsan.sim.machine.program import Action, Guard, Line, Program, Touch
from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind, Semantics

_TABLE = {**device_ops.TABLE, **host_ops.TABLE, **memory_ops.TABLE}
"""What each kind of op does; the others do nothing that another line could notice."""


def compile_trace(
    trace: Trace,
    semantics: Semantics | None = None,
    watch: Collection[int] | None = None,
    *,
    halves: bool = True,
) -> Program:
    """Make the program of a trace.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
        watch: ops; memory is kept only for the buffers that they touch (and the blocks that lie
            where these do). All else runs without a value. None keeps all.
        halves: whether an op that touches memory can be caught half way. Without, every op is one
            step: no order is lost, but mixed values are, and there are far fewer states.
    """
    draft = Draft(trace, trace.header.semantics if semantics is None else semantics)
    for op, kind in enumerate(trace.kind.tolist()):
        action = _TABLE.get(kind)
        if action is not None:
            action(draft, op)
    _bind_late(draft)
    kept = None if watch is None else _bases(draft, watch)
    touches = [t for _, _, actions in draft.lines for a in actions for t in a.touches]
    mine = [t for t in touches if kept is None or int(trace.buffers.base[t.buffer]) in kept]
    memory = lay_out(
        trace,
        (t.place for t in mine if t.place is not None),
        draft.releases,
        ((t.buffer, t.registered) for t in mine if t.place is None),
    )
    return _finish(draft, memory, halves=halves)


def _bases(draft: Draft, watch: Collection[int]) -> set[int]:
    """Give the memories that some ops touch."""
    base = draft.trace.buffers.base
    return {
        int(base[touch.buffer])
        for _, _, actions in draft.lines
        for action in actions
        if action.op in watch
        for touch in action.touches
    }


def _bind_late(draft: Draft) -> None:
    """Bind what could only be bound at the end of the file (R50, R51)."""
    for action, token in draft.awaits:
        later = [s for s in draft.signals.get(token, ()) if s.op > action.op]
        if later:
            action.guards.append(later[0].done)
    for target, starts in draft.starts.items():
        _bind_starts(draft, target, starts)
    for action, target in draft.joins:
        _bind_join(draft, action, target)
    for arrivals in draft.meetings.values():
        for arrival in arrivals:
            meeting = draft.lines[arrival.line][2][arrival.index + 1]
            meeting.guards.extend(other.done for other in arrivals if other is not arrival)


def _bind_starts(draft: Draft, target: str, starts: list[DraftAction]) -> None:
    """Hold a thread's work until its start; before its first start it does not run at all."""
    line = draft.threads.get(target)
    for turn, start in enumerate(starts):
        if line == start.line:
            continue
        begins = -1 if turn == 0 else start.op
        _after_start(draft, target, start.done, begins)


def _after_start(draft: Draft, target: str, done: Guard, begins: int) -> None:
    """Let the target's calls after op ``begins`` wait, those that only issue device work too."""
    trace = draft.trace
    for _, _, actions in draft.lines:
        for action in actions:
            mine = trace.names[int(trace.thread[action.op])] == target
            if mine and action.op > begins and _carries_call(draft, action):
                action.guards.append(done)


def _carries_call(draft: Draft, action: DraftAction) -> bool:
    """Whether an action comes after its own call: a record does not (section 7, point 5)."""
    return int(draft.trace.kind[action.op]) != Kind.EVENT_RECORD


def _bind_join(draft: Draft, join: DraftAction, target: str) -> None:
    """Let a join wait for the target's actions up to its next start."""
    line = draft.threads.get(target)
    if line is None or line == join.line:
        return
    restart = next((s.op for s in draft.starts.get(target, ()) if s.op > join.op), None)
    ahead = [a for a in draft.lines[line][2] if restart is None or a.op < restart]
    if ahead:
        join.guards.append(ahead[-1].done)


def _finish(draft: Draft, memory: Memory, *, halves: bool) -> Program:
    """Freeze the lines, with their accesses as slots."""
    entries: list[Touch] = []
    places: dict[int, list[int]] = {}
    for index, reuse in enumerate(memory.reuses):
        places.setdefault(reuse.later, []).append(index)
    lines = tuple(
        Line(
            label, kind, tuple(_action(a, memory, entries, places, halves=halves) for a in actions)
        )
        for label, kind, actions in draft.lines
    )
    return Program(
        draft.trace, lines, memory.slots, tuple(entries), memory.reuses,
        tuple(draft.addresses), frozenset(draft.freed),
    )  # fmt: skip


def _action(
    draft: DraftAction,
    memory: Memory,
    entries: list[Touch],
    places: dict[int, list[int]],
    *,
    halves: bool,
) -> Action:
    touches: list[Touch] = []
    for t in draft.touches:
        if t.place is not None and t.place in memory.of_place:
            slots = memory.of_place[t.place]
            _add(touches, entries, Touch(t.op, t.access, slots, t.write, life=False, entry=-1))
        life = memory.life.get((t.buffer, t.registered))
        if life is not None:
            changes = t.place is None and t.write
            _add(touches, entries, Touch(t.op, t.access, (life,), changes, life=True, entry=-1))
    touches.sort(key=lambda touch: touch.write)
    return Action(
        draft.op, tuple(dict.fromkeys(draft.guards)), tuple(touches), draft.want, draft.store,
        tuple(places.get(draft.born, ())) if draft.born >= 0 else (),
        # watched or not, so that a schedule is the same
        halves and any(t.place is not None for t in draft.touches),
    )  # fmt: skip


def _add(touches: list[Touch], entries: list[Touch], touch: Touch) -> None:
    if not touch.write:
        touch = touch._replace(entry=len(entries))
        entries.append(touch)
    touches.append(touch)
