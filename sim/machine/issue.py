"""From a Trace to a Program: every op is issued once, in the order of the file.

Slots of a program's fields have one value each, whatever the schedule (``slots.py``); regions and
remarks touch nothing. An access after the free of its buffer's name is an access of the freed
block, and meets its next owner. What host code may do unseen after a ``host_escape`` is run only
where it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection

from streamsan.sim.machine import device_ops, host_ops, memory_ops
from streamsan.sim.machine.bind import bind_late
from streamsan.sim.machine.cells import Memory, lay_out
from streamsan.sim.machine.draft import Draft, DraftAction
from streamsan.sim.machine.program import Action, Line, Program, Touch
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics

_TABLE = {**device_ops.TABLE, **host_ops.TABLE, **memory_ops.TABLE}
"""What each kind of op does; the others do nothing that another line could notice."""


def compile_trace(
    trace: Trace,
    semantics: Semantics | None = None,
    watch: Collection[int] | None = None,
    *,
    halves: bool = True,
    escapes: bool = False,
) -> Program:
    """Make the program of a trace.

    Args:
        trace: the trace.
        semantics: switches; those of the trace's header by default.
        watch: ops; memory is kept only for the buffers that they touch (and the blocks that lie
            where these do). All else runs without a value. None keeps all.
        halves: whether an op that touches memory can be caught half way. Without, every op is one
            step: no order is lost, but mixed values are, and there are far fewer states.
        escapes: whether the host touches unseen what a ``host_escape`` names, at any time until
            its free (detail 14). What rests on that is possible, never certain.
    """
    return compile_draft(draft_of(trace, semantics, escapes=escapes), watch, halves=halves)


def draft_of(trace: Trace, semantics: Semantics | None = None, *, escapes: bool = False) -> Draft:
    """Issue every op of a trace once, in the order of the file."""
    draft = Draft(trace, trace.header.semantics if semantics is None else semantics)
    draft.escapes_run = escapes
    for op, kind in enumerate(trace.kind.tolist()):
        action = _TABLE.get(kind)
        if action is not None:
            action(draft, op)
    bind_late(draft)
    return draft


def compile_draft(
    draft: Draft, watch: Collection[int] | None = None, *, halves: bool = True
) -> Program:
    """Make a program of a draft; a draft can be made into any number of them."""
    trace = draft.trace
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


def _finish(draft: Draft, memory: Memory, *, halves: bool) -> Program:
    """Freeze the lines, with their accesses as slots."""
    entries: list[Touch] = []
    places: dict[int, list[int]] = {}
    nodes: list[tuple[int, int]] = []
    for index, reuse in enumerate(memory.reuses):
        places.setdefault(reuse.later, []).append(index)
    lines = tuple(
        Line(
            label,
            kind,
            tuple(
                _action(a, memory, entries, places, _writer(draft, a, nodes), halves=halves)
                for a in mine
            ),
        )
        for label, kind, mine in draft.lines
    )
    return Program(
        draft.trace, lines, memory.slots, tuple(entries), memory.reuses,
        tuple(draft.addresses), frozenset(draft.freed - draft.used_after), tuple(nodes),
    )  # fmt: skip


def _writer(draft: Draft, action: DraftAction, nodes: list[tuple[int, int]]) -> int:
    """Tell the nodes of one launch apart: each writes a value of its own."""
    if action.node < 0:
        return action.op
    nodes.append((action.op, action.node))
    return len(draft.trace) + len(nodes) - 1


def _action(
    draft: DraftAction,
    memory: Memory,
    entries: list[Touch],
    places: dict[int, list[int]],
    writer: int,
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
        writer,
    )  # fmt: skip


def _add(touches: list[Touch], entries: list[Touch], touch: Touch) -> None:
    if not touch.write:
        touch = touch._replace(entry=len(entries))
        entries.append(touch)
    touches.append(touch)
