"""Events, host waits, host code, tasks, threads and tokens (R3 to R10, R30, R44, R48 to R50)."""

from __future__ import annotations

from streamsan.sim.machine.draft import Draft, DraftAction, DraftTouch
from streamsan.sim.machine.program import LineKind
from streamsan.traces.ops import Kind


def event_record(draft: Draft, op: int) -> None:
    """R3, R4, R13: what the stream holds; it carries no order of its own call (point 5)."""
    draft.records[str(draft.trace[op].obj)] = draft.on_stream(op, carries_call=False).done


def forget_event(draft: Draft, op: int) -> None:
    """R5: an event destroyed or created has no generation; enqueued waits keep theirs (R31)."""
    draft.records.pop(str(draft.trace[op].obj), None)


def stream_wait_event(draft: Draft, op: int) -> None:
    """R5, R6: later work of the stream waits for the capture; no record, no action (point 1)."""
    record = draft.records.get(str(draft.trace[op].obj))
    if record is not None:
        draft.on_stream(op).guards.append(record)


def event_synchronize(draft: Draft, op: int) -> None:
    """R7: the thread waits for the capture."""
    record = draft.records.get(str(draft.trace[op].obj))
    if record is not None:
        draft.on_thread(op, [record])


def event_query(draft: Draft, op: int) -> None:
    """R8: success is a wait that is over."""
    if draft.trace[op].bit("result") == "success":
        event_synchronize(draft, op)


def stream_synchronize(draft: Draft, op: int) -> None:
    """R9, R13: the thread waits for all work of the stream."""
    draft.on_thread(op, draft.held(int(draft.trace.streams.of_op[op])))


def stream_query(draft: Draft, op: int) -> None:
    """R8, R13: success is a wait that is over."""
    if draft.trace[op].bit("result") == "success":
        stream_synchronize(draft, op)


def device_synchronize(draft: Draft, op: int) -> None:
    """R10: the thread waits for all streams of the device."""
    draft.on_thread(op, draft.on_device(int(draft.trace.device[op])))


def host_access(draft: Draft, op: int) -> None:
    """R2, R48: by the thread, or by another agent that the thread has set off."""
    agent = draft.trace[op].extras.get("agent")
    if agent is None:
        action = draft.on_thread(op)
    else:
        if agent not in draft.agents:
            draft.agents[agent] = draft.add_line(f"agent:{agent}", LineKind.AGENT)
        action = draft.act(draft.agents[agent], op, [draft.tail(draft.thread(op))])
    draft.touch(action, op)


def host_escape(draft: Draft, op: int) -> None:
    """Detail 14: unseen, the host reads and writes the range at any time until its free."""
    if not draft.escapes_run:
        return
    trace = draft.trace
    line = draft.add_line(f"unseen host code of op {op}", LineKind.ESCAPE)
    action = draft.act(line, op, [draft.tail(draft.thread(op))])
    for access in range(int(trace.access_start[op]), int(trace.access_start[op + 1])):
        buffer = int(trace.buffers.of_access[access])
        place = (buffer, int(trace.access_range[access]))
        for write in (False, True):
            action.touches.append(DraftTouch(op, -1, buffer, place, write))
        draft.escapes.setdefault(buffer, []).append(action.done)


def host_func(draft: Draft, op: int) -> None:
    """R30: host work in stream order; it awaits its tokens first and signals the others last."""
    action = draft.on_stream(op)
    draft.touch(action, op)
    extras = draft.trace[op].extras
    for token in extras.get("awaits", ()):
        _await(draft, action, str(token))
    for token in extras.get("signals", ()):
        draft.signals.setdefault(str(token), []).append(action)


def task_submit(draft: Draft, op: int) -> None:
    """R49: the task runs after its submit, on a line of its own."""
    name = str(draft.trace[op].obj)
    line = draft.add_line(f"task:{name}", LineKind.TASK)
    action = draft.act(line, op, [draft.tail(draft.thread(op))])
    draft.touch(action, op)
    draft.tasks[name] = action.done


def task_done(draft: Draft, op: int) -> None:
    """R49: whoever sees the task done is after it."""
    done = draft.tasks.pop(str(draft.trace[op].obj), None)
    if done is not None:
        draft.on_thread(op, [done])


def signal(draft: Draft, op: int) -> None:
    """R50: what the thread did before comes before what follows an await of the token."""
    draft.signals.setdefault(str(draft.trace[op].obj), []).append(draft.on_thread(op))


def await_token(draft: Draft, op: int) -> None:
    """R50: after the signal that it binds to."""
    _await(draft, draft.on_thread(op), str(draft.trace[op].obj))


def _await(draft: Draft, action: DraftAction, token: str) -> None:
    """Bind to the latest earlier signal in the file, else to the first later one."""
    earlier = draft.signals.get(token)
    if earlier:
        action.guards.append(earlier[-1].done)
    else:
        draft.awaits.append((action, token))


def thread_start(draft: Draft, op: int) -> None:
    """R50: what the target does from here on comes after this."""
    target = str(draft.trace[op].obj)
    draft.starts.setdefault(target, []).append(draft.on_thread(op))


def thread_join(draft: Draft, op: int) -> None:
    """R50: after all that the target does up to its next start."""
    draft.joins.append((draft.on_thread(op), str(draft.trace[op].obj)))


TABLE = {
    Kind.EVENT_RECORD: event_record, Kind.EVENT_CREATE: forget_event,
    Kind.EVENT_DESTROY: forget_event, Kind.STREAM_WAIT_EVENT: stream_wait_event,
    Kind.EVENT_SYNCHRONIZE: event_synchronize, Kind.EVENT_QUERY: event_query,
    Kind.STREAM_SYNCHRONIZE: stream_synchronize, Kind.STREAM_QUERY: stream_query,
    Kind.DEVICE_SYNCHRONIZE: device_synchronize, Kind.HOST_READ: host_access,
    Kind.HOST_WRITE: host_access, Kind.HOST_ESCAPE: host_escape, Kind.HOST_FUNC: host_func,
    Kind.HOST_TASK_SUBMIT: task_submit, Kind.HOST_TASK_DONE: task_done, Kind.SIGNAL: signal,
    Kind.AWAIT: await_token, Kind.THREAD_START: thread_start, Kind.THREAD_JOIN: thread_join,
}  # fmt: skip
