"""Which stream, and which buffer, a name means at a place in the file.

A name alone is not an identity: a buffer's name may be allocated again after its free, a
destroyed stream's name may be created again, and ``"0"`` and ``"ptds"`` are one stream per device
(and thread). Resolved once for the whole trace, with arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.ops import Kind

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

LEGACY, PER_THREAD = "0", "ptds"
UNBOUNDED = 2**53
"""The extent, in bytes, of a buffer whose size is not known and which shares no address."""

_MALLOCS = (Kind.MALLOC, Kind.MALLOC_ASYNC)
_FREES = (Kind.FREE, Kind.FREE_ASYNC)


@dataclass(frozen=True, eq=False)
class Streams:
    """The streams of a trace, numbered by first use."""

    label: tuple[str, ...]
    device: tuple[int, ...]
    blocking: tuple[bool, ...]
    legacy: tuple[bool, ...]
    of_op: NDArray[np.int32]
    """The stream of each op, -1 where it has none."""

    def __len__(self) -> int:
        """Count the streams."""
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Buffers:
    """The buffers of a trace.

    ``base`` tells physical memories apart; a buffer's bytes are ``start`` to ``start + extent``
    of its base. ``size`` is -1 where it is not known; ``owner`` is a stream, -1 where not known.
    """

    name: NDArray[np.int32]
    malloc: NDArray[np.int32]
    free: NDArray[np.int32]
    size: NDArray[np.int64]
    extent: NDArray[np.int64]
    start: NDArray[np.int64]
    base: NDArray[np.int32]
    space: tuple[str, ...]
    allocator: tuple[str, ...]
    device: NDArray[np.int32]
    owner: NDArray[np.int32]
    of_op: NDArray[np.int32]
    """The buffer that an op names as its object (malloc, free, record_stream, ...), else -1."""
    of_access: NDArray[np.int32]
    """The buffer of each access."""

    def __len__(self) -> int:
        """Count the buffers."""
        return len(self.name)


def find_streams(trace: Trace) -> Streams:
    """Number the streams of a trace and give each op its own."""
    of_op = np.full(len(trace), -1, dtype=np.int32)
    at = np.flatnonzero(trace.stream_name >= 0)
    names = trace.stream_name[at]
    special = [i for i, n in enumerate(trace.names) if n in (LEGACY, PER_THREAD)]
    births = _births(trace, Kind.STREAM_CREATE, Kind.STREAM_DESTROY, trace.stream_name)
    keys = names.astype(np.int64) << 32
    if births:
        keys += _generation(names, at, births)
    for name in special:
        mine = names == name
        keys[mine] += trace.device[at][mine].astype(np.int64) << 16
        if trace.names[name] == PER_THREAD:
            keys[mine] += trace.thread[at][mine]
    unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    of_op[at] = rank[inverse]
    ops = at[first[order]]
    word = [trace.names[trace.stream_name[i]] for i in ops]
    devices = tuple(int(trace.device[i]) for i in ops)
    created = np.flatnonzero(trace.kind == Kind.STREAM_CREATE)
    blocking = [w in (LEGACY, PER_THREAD) for w in word]
    for i in created:
        if trace[int(i)].bit("flags") == "blocking":
            blocking[int(of_op[i])] = True
    label = tuple(
        _label(w, d, trace.names[trace.thread[i]]) for w, d, i in zip(word, devices, ops, strict=True)
    )
    legacy = tuple(w == LEGACY for w in word)
    return Streams(label, devices, tuple(blocking), legacy, of_op)


def _label(word: str, device: int, thread: str) -> str:
    if word == LEGACY:
        return word if device == 0 else f"{word}@{device}"
    if word == PER_THREAD:
        suffix = "" if thread == "main" else f":{thread}"
        return f"{word}{suffix}" if device == 0 else f"{word}{suffix}@{device}"
    return word


def _births(
    trace: Trace, birth: int, death: int, column: NDArray[np.int32]
) -> dict[int, list[int]]:
    """Give, for each name that dies and is born again, the ops of its later births."""
    born: dict[int, list[int]] = {}
    dead: set[int] = set()
    for i in np.flatnonzero((trace.kind == birth) | (trace.kind == death)).tolist():
        name = int(column[i])
        if trace.kind[i] == death:
            dead.add(name)
        elif name in dead:
            dead.discard(name)
            born.setdefault(name, []).append(i)
    return born


def _generation(
    names: NDArray[np.int32], at: NDArray[np.intp], births: dict[int, list[int]]
) -> NDArray[np.int64]:
    found = np.zeros(len(names), dtype=np.int64)
    for name, starts in births.items():
        mine = names == name
        found[mine] = np.searchsorted(np.array(starts), at[mine], side="right")
    return found


def find_buffers(trace: Trace) -> Buffers:
    """Number the buffers of a trace; see ``Buffers``."""
    n_names = len(trace.names)
    is_malloc = np.isin(trace.kind, _MALLOCS)
    mallocs = np.flatnonzero(is_malloc).astype(np.int64)
    names = trace.obj[mallocs].astype(np.int64)
    width = max(len(trace), 1)
    birth_keys = names * width + mallocs
    order = np.argsort(birth_keys, kind="stable")
    sorted_keys = birth_keys[order]
    touches = _object_ops(trace)
    access_names = trace.ranges.name[trace.access_range].astype(np.int64)
    access_ops = trace.access_op.astype(np.int64)

    def instance(name: NDArray[np.int64], op: NDArray[np.int64]) -> NDArray[np.int64]:
        place = np.searchsorted(sorted_keys, name * width + op, side="right") - 1
        hit = place >= 0
        if len(order):
            hit &= names[order[np.maximum(place, 0)]] == name
        chosen = order[np.maximum(place, 0)] if len(order) else place
        return np.where(hit, n_names + chosen, name)

    touch_names = trace.obj[touches].astype(np.int64)
    raw_op = instance(touch_names, touches.astype(np.int64))
    raw_access = instance(access_names, access_ops)
    used, inverse = np.unique(np.concatenate([raw_op, raw_access]), return_inverse=True)
    of_op = np.full(len(trace), -1, dtype=np.int32)
    of_op[touches] = inverse[: len(touches)]
    of_access = inverse[len(touches) :].astype(np.int32)
    malloc = np.where(
        used >= n_names, mallocs[np.clip(used - n_names, 0, None)] if len(mallocs) else -1, -1
    ).astype(np.int32)
    name = np.where(malloc >= 0, trace.obj[malloc], used).astype(np.int32)
    return _describe(trace, name, malloc, of_op, of_access)


def _object_ops(trace: Trace) -> NDArray[np.intp]:
    kinds = (
        *_MALLOCS,
        *_FREES,
        Kind.RECORD_STREAM,
        Kind.HOST_REGISTER,
        Kind.HOST_UNREGISTER,
    )
    return np.flatnonzero(np.isin(trace.kind, kinds))


def _describe(
    trace: Trace,
    name: NDArray[np.int32],
    malloc: NDArray[np.int32],
    of_op: NDArray[np.int32],
    of_access: NDArray[np.int32],
) -> Buffers:
    count = len(name)
    free = np.full(count, -1, dtype=np.int32)
    for i in np.flatnonzero(np.isin(trace.kind, _FREES))[::-1].tolist():
        free[of_op[i]] = i
    size = np.where(malloc >= 0, trace.number[malloc], -1)
    size = np.where(size < 0, -1, size)
    space, allocator = ["device"] * count, ["plain"] * count
    owner = np.full(count, -1, dtype=np.int32)
    device = np.zeros(count, dtype=np.int32)
    place: list[tuple[Any, int] | None] = [None] * count
    for b in np.flatnonzero(malloc >= 0).tolist():
        op = trace[int(malloc[b])]
        space[b] = op.bit("space") or "device"
        stream_ordered = op.kind == Kind.MALLOC_ASYNC
        allocator[b] = "stream_ordered" if stream_ordered else op.bit("allocator") or "plain"
        owner[b] = trace.streams.of_op[op.id]
        device[b] = op.device
        address = op.extras.get("address")
        offset = int(op.extras.get("offset", 0))
        if address is not None:
            is_int = isinstance(address, int)
            place[b] = (("", address + offset) if is_int else (str(address), offset))
    reach = _reach(trace, of_access, count)
    return Buffers(
        name, malloc, free, size, *_place(place, size, reach), tuple(space), tuple(allocator),
        device, owner, of_op, of_access,
    )  # fmt: skip


def _reach(trace: Trace, of_access: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Give the last byte that any access names, plus one, for each buffer; at least 1."""
    reach = np.ones(count, dtype=np.int64)
    ranges = trace.ranges
    ends = np.where(ranges.length < 0, 1, ranges.offset + ranges.length)
    if len(of_access):
        np.maximum.at(reach, of_access, ends[trace.access_range])
    return reach


def _place(
    place: list[tuple[Any, int] | None], size: NDArray[np.int64], reach: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Give extent, start and base. A buffer without an address is alone in its memory."""
    count = len(place)
    bases: dict[str, int] = {}
    base = np.arange(count, dtype=np.int32)
    start = np.zeros(count, dtype=np.int64)
    addressed = np.zeros(count, dtype=bool)
    lowest: dict[str, int] = {}
    for where in place:
        if where is not None:
            lowest[where[0]] = min(lowest.get(where[0], where[1]), where[1])
    for b, where in enumerate(place):
        if where is not None:
            base[b] = bases.setdefault(where[0], count + len(bases))
            start[b] = where[1] - lowest[where[0]]
            addressed[b] = True
    extent = np.where(size >= 0, size, np.where(addressed, reach, UNBOUNDED))
    return extent, start, base
