"""Pinned host memory: a caching allocator whose blocks are guarded by events.

As torch's: the stream of every non-blocking copy is noted on the block; at the free, the work
that these streams hold is captured, and the block is handed out again only when all of it is
done (R38). A write into a block that is still alive is guarded by nothing.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch

from streamsan.sim.device.memory import POISON
from streamsan.sim.device.queues import Place, Queue

_BASE = 0x6000_0000_0000
_LEAST = 512


class HostChunk:
    """Pinned bytes of a size class."""

    __slots__ = ("address", "bytes", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size
        with torch.inference_mode(mode=False):
            self.bytes = torch.empty(size, dtype=torch.uint8, device="cpu")


class HostBlock:
    """A pinned allocation, freed with the last tensor on it."""

    __slots__ = ("__weakref__", "_released", "chunk", "epoch", "name", "nbytes", "noted")

    def __init__(
        self, chunk: HostChunk, nbytes: int, name: str, released: Callable[[HostBlock], None]
    ) -> None:
        self.chunk = chunk
        self.nbytes = nbytes
        self.name = name
        self.noted: dict[str, Queue] = {}
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
        """Give the block's bytes as a plain CPU tensor."""
        with torch.inference_mode(mode=False), torch.no_grad():
            return self.chunk.bytes.view(dtype).as_strided(shape, strides)


class HostPool:
    """The pinned memory of the process."""

    def __init__(self) -> None:
        self._next = _BASE
        self._free: defaultdict[int, list[HostChunk]] = defaultdict(list)
        self._deferred: list[tuple[HostChunk, list[Place]]] = []

    def malloc(self, nbytes: int) -> HostChunk:
        """Give poisoned pinned bytes; sizes are powers of two."""
        self._take_back()
        size = max(_LEAST, 1 << max(nbytes - 1, 0).bit_length())
        free = self._free[size]
        if free:
            chunk = free.pop()
        else:
            chunk = HostChunk(self._next, size)
            self._next += -(-size // 4096) * 4096
        ctypes.memset(chunk.bytes.data_ptr(), POISON, chunk.size)
        return chunk

    def free(self, chunk: HostChunk, guests: list[Place]) -> None:
        """Take a chunk back when the noted streams' work is done."""
        guests = [place for place in guests if not place.done]
        if guests:
            self._deferred.append((chunk, guests))
        else:
            self._free[chunk.size].append(chunk)

    def adopt(self, chunk: HostChunk) -> None:
        """Give a live chunk of an earlier run an address in this pool; it is never reused."""
        chunk.address = self._next
        self._next += -(-chunk.size // 4096) * 4096

    def _take_back(self) -> None:
        waiting, self._deferred = self._deferred, []
        for chunk, guests in waiting:
            if all(place.done for place in guests):
                self._free[chunk.size].append(chunk)
            else:
                self._deferred.append((chunk, guests))
