"""What can only be bound at the end of the file: tokens, threads, ranks, freed memory in use."""

from __future__ import annotations

from streamsan.sim.machine.cells import Place
from streamsan.sim.machine.draft import Draft, DraftAction, DraftTouch
from streamsan.sim.machine.program import Guard, LineKind
from streamsan.traces.ops import Kind


def bind_late(draft: Draft) -> None:
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
    _take_what_is_used(draft)


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
    """Let a join wait for the target's actions up to its next start.

    Calls that only issue work are no actions: where they wait for a start that comes later in the
    file, the join waits for that start.
    """
    starts = draft.starts.get(target, ())
    if starts and starts[0].op > join.op and _calls_before(draft, target, join.op):
        join.guards.append(starts[0].done)
    line = draft.threads.get(target)
    if line is None or line == join.line:
        return
    restart = next((s.op for s in draft.starts.get(target, ()) if s.op > join.op), None)
    ahead = [a for a in draft.lines[line][2] if restart is None or a.op < restart]
    if ahead:
        join.guards.append(ahead[-1].done)


def _calls_before(draft: Draft, target: str, op: int) -> bool:
    """Whether a thread makes a call before an op."""
    trace = draft.trace
    return any(trace.names[index] == target for index in trace.thread[:op].tolist())


def _take_what_is_used(draft: Draft) -> None:
    """Let freed memory that the trace goes on using get its next owner, who may come at any time.

    An allocator may hand freed memory out at once or never: what was freed is poison, and a use
    of it meets either what it left there or what the next owner has written.
    """
    used: dict[int, dict[Place, None]] = {}
    for _, _, actions in draft.lines:
        for action in actions:
            for touch in action.touches:
                end = draft.ended.get(touch.buffer)
                if end is not None and touch.place is not None and action.op > end[0]:
                    used.setdefault(touch.buffer, {})[touch.place] = None
    for buffer, places in sorted(used.items()):
        op, done = draft.ended[buffer]
        line = draft.add_line(f"next owner of {draft.trace[op].obj}", LineKind.TAKEN)
        action = draft.act(line, op, [done])
        action.touches += [DraftTouch(op, -1, buffer, place, write=True) for place in places]
        draft.used_after.add(buffer)
