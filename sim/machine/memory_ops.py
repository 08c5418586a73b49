"""Allocation: when a block's life begins and ends, and what a reuse waits for (R26 to R29, R36+).

A life is memory of its own: an allocation and a free write it, every access of the block reads it.
So a use that may come after the free, or before a stream-ordered allocation, is seen as one.
"""

from __future__ import annotations

from streamsan.sim.machine.cells import is_stream_ordered
from streamsan.sim.machine.draft import Draft, DraftAction
from streamsan.sim.machine.program import Guard, LineKind
from streamsan.traces.ops import Kind


def malloc(draft: Draft, op: int) -> None:
    """R26: orders nothing; where the address was used before, see ``program.Reuse``."""
    buffer = int(draft.trace.buffers.of_op[op])
    if is_stream_ordered(draft.trace, op):
        action = draft.on_stream(op)
        draft.change_life(action, buffer)
        action.born = buffer
    elif "address" in draft.trace[op].extras:
        draft.on_thread(op).born = buffer


def free(draft: Draft, op: int) -> None:
    """R27, R36 to R38, R54: the block's life ends once its allocator's own order is over.

    Freed twice, it ends twice (SO206).
    """
    buffers = draft.trace.buffers
    buffer = int(buffers.of_op[op])
    allocator, space = buffers.allocator[buffer], buffers.space[buffer]
    waits = allocator in ("plain", "stream_ordered") and space in ("device", "managed")
    known = int(buffers.malloc[buffer]) >= 0
    unseen = draft.escapes.get(buffer, [])
    if known and waits and draft.semantics.cuda_free_synchronizes:
        drained = draft.on_device(int(buffers.device[buffer]))
        _is_over(draft, draft.on_thread(op, [*drained, *unseen]), buffer)
    elif allocator == "caching":
        owner = int(buffers.owner[buffer])
        _end(draft, op, buffer, draft.recorded_on.get(buffer, []), owner)
    elif allocator == "caching_host":
        _end(draft, op, buffer, draft.noted.get(buffer, []), None)
    else:
        _is_over(draft, draft.on_thread(op, unseen), buffer)
    draft.freed.add(buffer)


def _is_over(draft: Draft, action: DraftAction, buffer: int) -> None:
    """Let an action end the life of a block."""
    draft.change_life(action, buffer)
    draft.ended.setdefault(buffer, (action.op, action.done))


def _end(draft: Draft, op: int, buffer: int, streams: list[int], owner: int | None) -> None:
    """Give a block back after the streams noted on it, and after its owner's work.

    An owner of -1 is not known: then nothing follows from the free alone (detail 4). None: the
    allocator has no owners (R38).
    """
    release: list[Guard] = [g for s in streams for g in _captured(draft, s)]
    draft.releases.setdefault(buffer, (op, tuple(g for g in release if g[1])))
    if owner == -1:
        return
    owned = [] if owner is None else _captured(draft, owner)
    line = draft.add_line(f"end of {draft.trace[op].obj}", LineKind.END)
    unseen = draft.escapes.get(buffer, [])
    guards = [draft.tail(draft.thread(op)), *release, *owned, *unseen]
    _is_over(draft, draft.act(line, op, guards), buffer)


def _captured(draft: Draft, stream: int) -> list[Guard]:
    """Give what an event recorded on a stream now would capture (R13; section 7, point 2)."""
    return [draft.tail(stream), *draft.legacy_guards(stream)]


def free_async(draft: Draft, op: int) -> None:
    """R28, R29: an op of its stream; the address is handed out again only after it."""
    buffer = int(draft.trace.buffers.of_op[op])
    action = draft.on_stream(op)
    _is_over(draft, action, buffer)
    draft.releases.setdefault(buffer, (op, (action.done,)))
    draft.freed.add(buffer)


def record_stream(draft: Draft, op: int) -> None:
    """R37: noted until the free."""
    buffer = int(draft.trace.buffers.of_op[op])
    stream = int(draft.trace.streams.of_op[op])
    draft.recorded_on.setdefault(buffer, []).append(stream)


def host_register(draft: Draft, op: int) -> None:
    """Pageable memory becomes pinned."""
    draft.registered[int(draft.trace.buffers.of_op[op])] = op


def host_unregister(draft: Draft, op: int) -> None:
    """And back: device work that is still on its way to it finds it gone (SO203)."""
    buffer = int(draft.trace.buffers.of_op[op])
    since = draft.registered.pop(buffer, None)
    if since is not None:
        draft.change_life(draft.on_thread(op), buffer, since)


TABLE = {
    Kind.MALLOC: malloc, Kind.MALLOC_ASYNC: malloc, Kind.FREE: free, Kind.FREE_ASYNC: free_async,
    Kind.RECORD_STREAM: record_stream, Kind.HOST_REGISTER: host_register,
    Kind.HOST_UNREGISTER: host_unregister,
}  # fmt: skip
