"""Which stream, and which buffer, a name means at a place in the file.

A name alone is not an identity: a buffer's name may be allocated again after its free, a
destroyed stream's name may be created again, and ``"0"`` and ``"ptds"`` are one stream per device
(and thread). Resolved once for the whole trace, with arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamsan.traces.layout import LAYOUTS, bits_of
from streamsan.traces.ops import Kind, Malloc, StreamCreate

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

LEGACY, PER_THREAD = "0", "ptds"
UNBOUNDED = 2**53
"""The extent, in bytes, of a buffer whose size is not known and which shares no address."""

_MALLOCS = (Kind.MALLOC, Kind.MALLOC_ASYNC)
_FREES = (Kind.FREE, Kind.FREE_ASYNC)
_OBJECT_KINDS = (
    *_MALLOCS, *_FREES, Kind.RECORD_STREAM, Kind.HOST_REGISTER, Kind.HOST_UNREGISTER,
)  # fmt: skip
_BLOCKING = bits_of(StreamCreate, "flags", "blocking")
_CHOICES = dict(LAYOUTS[Malloc].bits)
_SPACES = ("device", *map(str, _CHOICES["space"]))
_ALLOCATORS = ("plain", *map(str, _CHOICES["allocator"]))
_STREAM_ORDERED = _ALLOCATORS.index("stream_ordered")


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
    lookup: NDArray[np.int32]
    place: NDArray[Any]
    """``lookup[place]`` is the buffer of each access."""

    @cached_property
    def of_access(self) -> NDArray[np.int32]:
        """The buffer of each access."""
        return self.lookup.take(self.place, mode="clip")  # twice as fast as indexing

    def __len__(self) -> int:
        """Count the buffers."""
        return len(self.name)


def is_kind(kind: NDArray[np.uint8], *wanted: int) -> NDArray[np.bool_]:
    """Tell which ops are of the wanted kinds."""
    found: NDArray[np.bool_] = kind == wanted[0]
    for one in wanted[1:]:  # bytes compare many at a time: faster than a table
        found |= kind == one
    return found


def find_streams(trace: Trace) -> Streams:
    """Number the streams of a trace and give each op its own."""
    at = np.flatnonzero(trace.stream_name >= 0)
    rank, first = _by_first_use(_stream_keys(trace, at))
    of_op = rank
    if len(at) < len(trace):
        of_op = np.full(len(trace), -1, dtype=np.int32)
        of_op[at] = rank
    ops = at[first].tolist()
    word = [trace.names[trace.stream_name[i]] for i in ops]
    devices = tuple(int(trace.device[i]) for i in ops)
    blocking = [w in (LEGACY, PER_THREAD) for w in word]
    created = is_kind(trace.kind, Kind.STREAM_CREATE) & (trace.bits & 15 == _BLOCKING)
    for stream in of_op[created].tolist():
        blocking[stream] = True
    threads = [trace.names[trace.thread[i]] for i in ops]
    label = tuple(map(_label, word, devices, threads))
    legacy = tuple(w == LEGACY for w in word)
    return Streams(label, devices, tuple(blocking), legacy, of_op)


def _stream_keys(trace: Trace, at: NDArray[np.intp]) -> NDArray[np.int64]:
    """Give each op a number that stands for its stream.

    The name's index serves for most; only those of names that mean several streams are told apart.
    """
    keys = trace.stream_name[at].astype(np.intp)
    births = _births(trace, Kind.STREAM_CREATE, Kind.STREAM_DESTROY, trace.stream_name)
    special = [i for i, n in enumerate(trace.names) if n in (LEGACY, PER_THREAD)]
    if not special and not births:
        return keys
    several = np.zeros(len(trace.names), dtype=bool)
    several[special] = True
    several[list(births)] = True
    mine = np.flatnonzero(several[keys])
    if not len(mine):
        return keys
    names, ops = keys[mine], at[mine]
    special_names = np.zeros(len(trace.names), dtype=bool)
    special_names[special] = True
    devices = np.where(special_names[names], trace.device[ops], 0)
    own = np.array([n == PER_THREAD for n in trace.names], dtype=bool)
    threads = np.where(own[names], trace.thread[ops], 0)
    found = names
    for part in (_generation(names, ops, births), devices, threads):
        found = _paired(found, part)
    keys[mine] = found + len(trace.names)
    return keys


def _paired(one: NDArray[np.int64], other: NDArray[Any]) -> NDArray[np.int64]:
    """Number the distinct pairs; below the square of their count, so nothing overflows."""
    if other.min() == other.max():
        return one
    _, left = np.unique(one, return_inverse=True)
    values, right = np.unique(other, return_inverse=True)
    return np.asarray(left.astype(np.int64) * len(values) + right)


def _by_first_use(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Number keys by first use: each key's number, and the place where each number begins."""
    count = len(keys)
    top = int(keys.max()) + 1 if count else 0
    if top > 4 * count + 4096:
        _, keys = np.unique(keys, return_inverse=True)
        top = int(keys.max()) + 1
    first = np.full(top, count, dtype=np.intp)
    first[keys[::-1]] = np.arange(count - 1, -1, -1)  # of repeated places the last one stays
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < count)]
    rank = np.zeros(top, dtype=np.int32)
    rank[order] = np.arange(len(order))
    return rank[keys], first[order]


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
    at = np.flatnonzero(is_kind(trace.kind, birth, death))
    deaths = (trace.kind[at] == death).tolist()
    for i, name, dies in zip(at.tolist(), column[at].tolist(), deaths, strict=True):
        if dies:
            dead.add(name)
        elif name in dead:
            dead.discard(name)
            born.setdefault(name, []).append(i)
    return born


def _generation(
    names: NDArray[np.int64], at: NDArray[np.intp], births: dict[int, list[int]]
) -> NDArray[np.int64]:
    """Give, for each op, how often its stream's name had been born again by then."""
    found = np.zeros(len(names), dtype=np.int64)
    for name, starts in births.items():
        mine = names == name
        found[mine] = np.searchsorted(np.array(starts), at[mine], side="right")
    return found


def find_buffers(trace: Trace) -> Buffers:
    """Number the buffers of a trace; see ``Buffers``.

    First the names used while nothing was allocated under them, then every allocation in order.
    """
    mallocs = np.flatnonzero(is_kind(trace.kind, *_MALLOCS))
    touches = np.flatnonzero(is_kind(trace.kind, *_OBJECT_KINDS))
    tenant = _Tenants(trace, mallocs)
    raw_op = tenant.at(trace.obj[touches], touches)
    used = np.zeros(len(trace.names), dtype=bool)
    used[raw_op[raw_op < len(used)]] = True
    raw_access = None
    if len(mallocs):
        raw_access = tenant.at(trace.ranges.name[trace.access_range], trace.access_op)
        used[raw_access[raw_access < len(used)]] = True
    else:  # without allocations a range is the same buffer wherever it stands
        in_use = np.zeros(len(trace.ranges), dtype=bool)
        in_use[trace.access_range] = True
        used[trace.ranges.name[in_use]] = True
    unborn = np.flatnonzero(used)
    rank = np.empty(len(used) + len(mallocs), dtype=np.int32)
    rank[unborn] = np.arange(len(unborn))
    rank[len(used) :] = np.arange(len(unborn), len(unborn) + len(mallocs))
    of_op = np.full(len(trace), -1, dtype=np.int32)
    of_op[touches] = rank[raw_op]
    by_range = rank[trace.ranges.name] if raw_access is None else rank
    place = trace.access_range if raw_access is None else raw_access
    malloc = np.concatenate([np.full(len(unborn), -1, np.int32), mallocs.astype(np.int32)])
    name = np.concatenate([unborn.astype(np.int32), trace.obj[mallocs]])
    return _describe(trace, name, malloc, of_op, by_range, place)


class _Tenants:
    """Whose a buffer's name is at an op: its latest allocation there, or nobody's yet."""

    def __init__(self, trace: Trace, mallocs: NDArray[np.intp]) -> None:
        self.n_names = len(trace.names)
        self.width = len(trace) + 1
        names = trace.obj[mallocs]
        self.births = np.bincount(names, minlength=self.n_names)
        self.only = np.full(self.n_names, self.width, dtype=np.int64)
        self.only[names] = mallocs
        self.order_of = np.zeros(self.n_names, dtype=np.int64)
        self.order_of[names] = np.arange(len(mallocs))
        keys = names.astype(np.int64) * self.width + mallocs
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        self.again = bool((self.births > 1).any())

    def at(self, names: NDArray[np.int32], ops: NDArray[Any]) -> NDArray[np.int64]:
        """Give ``len(trace.names)`` + the allocation's place, or the name where there is none."""
        born = self.only[names] <= ops
        found = np.where(born, self.order_of[names] + self.n_names, names)
        if self.again:
            mine = np.flatnonzero(self.births[names] > 1)
            name, op = names[mine].astype(np.int64), ops[mine].astype(np.int64)
            place = np.searchsorted(self.keys, name * self.width + op, side="right") - 1
            before = (place >= 0) & (self.keys[np.maximum(place, 0)] // self.width == name)
            chosen = self.order[np.maximum(place, 0)] + self.n_names
            found[mine] = np.where(before, chosen, name)
        return found


def _describe(  # noqa: PLR0917 - columns of one table
    trace: Trace,
    name: NDArray[np.int32],
    malloc: NDArray[np.int32],
    of_op: NDArray[np.int32],
    lookup: NDArray[np.int32],
    access: NDArray[Any],
) -> Buffers:
    count, first = len(name), int(np.count_nonzero(malloc < 0))
    born = malloc[first:]
    free = np.full(count, -1, dtype=np.int32)
    frees = np.flatnonzero(is_kind(trace.kind, *_FREES))[::-1]
    free[of_op[frees]] = frees  # of several frees the first one stays
    size = np.full(count, -1, dtype=np.int64)
    size[first:] = np.maximum(trace.number[born], -1)
    owner = np.full(count, -1, dtype=np.int32)
    device = np.zeros(count, dtype=np.int32)
    space, allocator = ["device"] * count, ["plain"] * count
    if len(born):
        owner[first:] = trace.streams.of_op[born]
        device[first:] = trace.device[born]
        bits = trace.bits[born]
        space[first:] = [_SPACES[code] for code in (bits & 15).tolist()]
        codes = np.where(trace.kind[born] == Kind.MALLOC_ASYNC, _STREAM_ORDERED, (bits >> 4) & 15)
        allocator[first:] = [_ALLOCATORS[code] for code in codes.tolist()]
    place: list[tuple[Any, int] | None] = [None] * count
    for b, op in enumerate(born.tolist(), start=first):
        extras = trace.extras.get(op)
        address = None if extras is None else extras.get("address")
        if extras is not None and address is not None:
            offset = int(extras.get("offset", 0))
            is_int = isinstance(address, int)
            place[b] = ("", address + offset) if is_int else (str(address), offset)
    extent, start, base = _place(place, size, lookup, access, trace)
    return Buffers(
        name, malloc, free, size, extent, start, base, tuple(space), tuple(allocator),
        device, owner, of_op, lookup, access,
    )  # fmt: skip


def _reach(
    trace: Trace, of_access: NDArray[np.int32], wanted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Give the last byte that any access names, plus one, for wanted buffers; at least 1."""
    reach = np.ones(len(wanted), dtype=np.int64)
    if wanted.any():
        mine = np.flatnonzero(wanted[of_access])
        ranges = trace.ranges
        ends = np.where(ranges.length < 0, 1, ranges.offset + ranges.length)
        np.maximum.at(reach, of_access[mine], ends[trace.access_range[mine]])
    return reach


def _place(
    place: list[tuple[Any, int] | None],
    size: NDArray[np.int64],
    lookup: NDArray[np.int32],
    access: NDArray[Any],
    trace: Trace,
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
    wanted = addressed & (size < 0)
    reach = np.ones(count, dtype=np.int64)
    if wanted.any():
        reach = _reach(trace, lookup[access], wanted)
    extent = np.where(size >= 0, size, np.where(addressed, reach, UNBOUNDED))
    return extent, start, base
