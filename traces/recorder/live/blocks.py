"""Device memory: which buffer a tensor's bytes are in, told by the address of its storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import Free, Malloc
from streamsan.traces.recorder.live.spans import span_of

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer


class Block:
    """An allocation. Its size is not told when it is made: the first tensor on it tells."""

    __slots__ = ("name", "nbytes", "op")

    def __init__(self, name: str, nbytes: int, op: o.Malloc | None) -> None:
        self.name = name
        self.nbytes = nbytes
        self.op = op

    def resize(self, nbytes: int) -> None:
        """Learn the size; the ``malloc`` that waits to be written learns it, too."""
        self.nbytes = nbytes
        if self.op is not None:
            self.op.bytes = nbytes


class Blocks:
    """The device memory in use, by address."""

    def __init__(self, observer: Observer) -> None:
        self.live: dict[int, Block] = {}
        self._observer = observer
        self._platform = observer.platform
        self._pointer = self._platform.pointer
        self._earlier = dict(self._platform.live_blocks())

    def span(self, tensor: torch.Tensor) -> o.RangeSpec | None:
        """Give the bytes of a device tensor; None where it has none."""
        offset = int(tensor.storage_offset())
        if offset:
            offset *= tensor.itemsize
        pointer = self._pointer(tensor)
        block = self.live.get(pointer - offset)
        if block is None or not block.nbytes:
            if not tensor.numel() or not pointer:
                return None
            block = self._meet(tensor, pointer - offset, block)
        if not offset and tensor.is_contiguous() and tensor.nbytes == block.nbytes:
            return block.name
        return span_of(tensor, block.name, block.nbytes, offset)

    def _meet(self, tensor: torch.Tensor, base: int, block: Block | None) -> Block:
        """Learn the size of a block, or of a block that nobody told of."""
        nbytes = self._platform.storage_bytes(tensor)
        if block is not None:
            block.resize(nbytes)
            return block
        earlier = self._earlier.pop(base, None)
        device = self._platform.device_of(tensor)
        owner = None
        if earlier is not None:
            owner, device = self._observer.names.stream(earlier[1], device)
        block = self.live[base] = self._allocate(base, nbytes, owner, device)
        if earlier is None:  # made past the allocator that tells: its storage tells of its end
            self._platform.on_death(tensor, self._ending(base, block))
        return block

    def _allocate(self, base: int, nbytes: int, owner: str | None, device: int) -> Block:
        name = self._observer.names.fresh("d")
        op = Malloc(
            buffer=name, bytes=nbytes or None, address=base, allocator="caching", stream=owner,
            device=device,
        )  # fmt: skip
        self._observer.emit(op)
        return Block(name, nbytes, op)

    def _ending(self, base: int, block: Block) -> Callable[[], None]:
        def end() -> None:
            if self.live.get(base) is block:
                self.freed(base)

        return end

    def allocated(self, base: int) -> None:
        """Take note of an allocation by the calling thread, on its current stream (R36)."""
        device = self._platform.current_device()
        owner, device = self._observer.names.stream(self._platform.current_stream(device), device)
        self._earlier.pop(base, None)
        self.live[base] = self._allocate(base, 0, owner, device)
        local = self._observer.local
        if local.depth:
            local.made.append(self.live[base])

    def freed(self, base: int) -> None:
        """Take note of a free; that of an op's own workspace is told after the op."""
        self._earlier.pop(base, None)
        block = self.live.pop(base, None)
        if block is None:
            return
        local = self._observer.local
        if local.depth and block in local.made:
            local.freed.append(block)
        else:
            self._observer.emit(Free(buffer=block.name))
