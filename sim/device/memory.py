"""Device memory: a caching allocator over an arena of real bytes.

As in CUDA's native allocator: segments are cut into chunks of 512 bytes and more, a segment
belongs to one stream, a freed chunk may be reused on its stream at once, and ``record_stream``
withholds it until the work queued at the free is done. Addresses are those of the simulation,
the same in every run; the bytes behind them alias as the addresses do.

New segments and freed chunks are filled with ``POISON``: NaN for every float type, -1 for
integers. The fill of a freed chunk is an item of the owner's stream, so a program that is
correct never sees it.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence

import torch

from streamsan.sim.device.queues import Item, Place, Queue

POISON = 0xFF
_ROUND = 512
_SMALL = 1 << 20
_SMALL_SEGMENT = 2 << 20
_MIDDLE = 10 << 20
_MIDDLE_SEGMENT = 20 << 20
_DEVICE_BASE = 0x7000_0000_0000
_DEVICE_SPAN = 1 << 40


class Segment:
    """A stretch of an arena, with its bytes."""

    def __init__(self, address: int, size: int, queue: Queue) -> None:
        self.address = address
        self.size = size
        self.queue = queue
        with torch.inference_mode(mode=False):
            self.bytes = torch.empty(size, dtype=torch.uint8, device="cpu")
        self.pointer = self.bytes.data_ptr()
        ctypes.memset(self.pointer, POISON, size)
        self._typed: dict[torch.dtype, torch.Tensor] = {}

    def typed(self, dtype: torch.dtype) -> torch.Tensor:
        """Give all bytes as elements of a type."""
        found = self._typed.get(dtype)
        if found is None:
            with torch.inference_mode(mode=False), torch.no_grad():
                found = self._typed[dtype] = self.bytes.view(dtype)
        return found


class Chunk:
    """A part of a segment, free or not, between its neighbours."""

    __slots__ = ("address", "after", "before", "free", "segment", "size")

    def __init__(self, segment: Segment, address: int, size: int) -> None:
        self.segment = segment
        self.address = address
        self.size = size
        self.free = False
        self.before: Chunk | None = None
        self.after: Chunk | None = None


class Block:
    """An allocation: what the tensors on one storage hold together. Freed with the last of them."""

    __slots__ = (
        "__weakref__", "_released", "chunk", "device", "epoch", "guests", "name", "nbytes", "queue",
    )  # fmt: skip

    def __init__(
        self, chunk: Chunk, nbytes: int, name: str, queue: Queue, released: Callable[[Block], None]
    ) -> None:
        self.chunk = chunk
        self.nbytes = nbytes
        self.name = name
        self.queue = queue
        self.device = queue.device
        self.guests: dict[str, Queue] = {}
        self.epoch = 0
        self._released = released

    def __del__(self) -> None:
        self._released(self)

    @property
    def address(self) -> int:
        """The simulated address of the first byte."""
        return self.chunk.address

    def view(
        self, dtype: torch.dtype, shape: Sequence[int], strides: Sequence[int]
    ) -> torch.Tensor:
        """Give the block's real bytes as a CPU tensor."""
        segment = self.chunk.segment
        start = (self.chunk.address - segment.address) // dtype.itemsize
        return segment.typed(dtype).as_strided(shape, strides, start)


Free = tuple[int, int, Chunk]
"""Size, address, chunk: in the order of best fit."""


class Arena:
    """The memory of one device."""

    def __init__(
        self,
        device: int,
        capacity: int,
        poison: bool,
        issue: Callable[[Queue, Item], None],
        make_room: Callable[[int], object],
    ) -> None:
        self.device = device
        self.capacity = capacity
        self.reserved = 0
        self.allocated = 0
        self.peak = 0
        self._poison = poison
        self._issue = issue
        self._make_room = make_room
        self._next = _DEVICE_BASE + device * _DEVICE_SPAN
        self._free: dict[tuple[str, bool], list[Free]] = {}
        self._deferred: list[tuple[Chunk, Queue, list[Place]]] = []

    def malloc(self, nbytes: int, queue: Queue) -> Chunk:
        """Give a chunk to a stream: the smallest free one of the stream that is large enough.

        Raises:
            torch.OutOfMemoryError: the device's capacity is used up.
        """
        if self._deferred:
            self._take_back()
        size = max(-(-nbytes // _ROUND), 1) * _ROUND
        pool = self._free.setdefault((queue.label, size <= _SMALL), [])
        at = bisect_left(pool, (size, 0))
        if at < len(pool):
            chunk = pool.pop(at)[2]
            chunk.free = False
        else:
            chunk = self._new_segment(size, queue)
        if chunk.size - size >= (_ROUND if size <= _SMALL else _SMALL):
            self._split(chunk, size)
        self.allocated += chunk.size
        self.peak = max(self.peak, self.allocated)
        return chunk

    def free(self, chunk: Chunk, queue: Queue, guests: list[Place]) -> None:
        """Take a chunk back, at once or when the work of recorded streams is done (R36, R37)."""
        self.allocated -= chunk.size
        guests = [place for place in guests if not place.done]
        if guests:
            self._deferred.append((chunk, queue, guests))
        else:
            self._return(chunk, queue)

    def adopt(self, chunks: list[Chunk]) -> None:
        """Give live chunks of an earlier run addresses in this arena; it never reuses them."""
        for segment in dict.fromkeys(chunk.segment for chunk in chunks):
            shift = self._next - segment.address
            segment.address += shift
            for chunk in chunks:
                if chunk.segment is segment:
                    chunk.address += shift
            self._next += -(-segment.size // _SMALL_SEGMENT) * _SMALL_SEGMENT

    def withheld_for(self) -> list[Place]:
        """Give the places that recorded streams must reach before chunks are free."""
        return [place for _, _, guests in self._deferred for place in guests]

    def release(self) -> list[int]:
        """Give segments back that no tensor uses; give their sizes."""
        self._take_back()
        sizes = []
        for pool in self._free.values():
            for free in list(pool):
                chunk = free[2]
                if chunk.before is None and chunk.after is None:
                    pool.remove(free)
                    sizes.append(chunk.size)
        self.reserved -= sum(sizes)
        return sizes

    def _take_back(self) -> None:
        """Ask the events of withheld chunks, as the caching allocator does at allocations."""
        waiting, self._deferred = self._deferred, []
        for chunk, queue, guests in waiting:
            if all(place.done for place in guests):
                self._return(chunk, queue)
            else:
                self._deferred.append((chunk, queue, guests))

    def _return(self, chunk: Chunk, queue: Queue) -> None:
        chunk.free = True
        if self._poison:
            fill = _Fill(chunk)
            if queue.items:
                self._issue(queue, Item(fill, "poison"))
            else:
                fill()
        pool = self._free.setdefault((queue.label, _is_small(chunk)), [])
        for other in (chunk.before, chunk.after):
            if other is not None and other.free:
                pool.remove((other.size, other.address, other))
                chunk = _join(chunk, other)
        insort(pool, (chunk.size, chunk.address, chunk))

    def _split(self, chunk: Chunk, size: int) -> None:
        rest = Chunk(chunk.segment, chunk.address + size, chunk.size - size)
        rest.free = True
        rest.before, rest.after = chunk, chunk.after
        if chunk.after is not None:
            chunk.after.before = rest
        chunk.after, chunk.size = rest, size
        pool = self._free[chunk.segment.queue.label, _is_small(chunk)]
        insort(pool, (rest.size, rest.address, rest))

    def _new_segment(self, size: int, queue: Queue) -> Chunk:
        whole = size
        if size <= _SMALL:
            whole = _SMALL_SEGMENT
        elif size < _MIDDLE:
            whole = _MIDDLE_SEGMENT
        if self.reserved + whole > self.capacity:
            self._make_room(self.device)
        if self.reserved + whole > self.capacity:
            raise torch.OutOfMemoryError(
                f"simcuda out of memory: {size} bytes asked for on device {self.device}, "
                f"{self.reserved} of {self.capacity} in use; give install(memory=...) more"
            )
        segment = Segment(self._next, whole, queue)
        self._next += -(-whole // _SMALL_SEGMENT) * _SMALL_SEGMENT
        self.reserved += whole
        return Chunk(segment, segment.address, whole)


class _Fill:
    """Poisons the bytes that a chunk has now."""

    __slots__ = ("_pointer", "_segment", "_size")

    def __init__(self, chunk: Chunk) -> None:
        self._segment = chunk.segment  # keeps the bytes alive
        self._pointer = chunk.segment.pointer + chunk.address - chunk.segment.address
        self._size = chunk.size

    def __call__(self) -> None:
        ctypes.memset(self._pointer, POISON, self._size)


def _is_small(chunk: Chunk) -> bool:
    """Whether a chunk lies in a segment for small allocations."""
    return chunk.segment.size == _SMALL_SEGMENT


def _join(one: Chunk, other: Chunk) -> Chunk:
    """Make one free chunk of two neighbours."""
    first, second = (one, other) if one.address < other.address else (other, one)
    first.size += second.size
    first.after = second.after
    if second.after is not None:
        second.after.before = first
    return first
