"""Device memory: which buffer a tensor's bytes are in, told by the address of its storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import Free, Malloc, light
from streamsan.traces.recorder.live.spans import span_of

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer

NO_MEMORY = ("FakeTensor", "FunctionalTensor")
"""Classes of tensors by which compilers trace programs."""
_RecordStream = light(o.RecordStream)


class Block:
    """An allocation. Its size is not told when it is made: the first tensor on it tells."""

    __slots__ = ("device", "freed", "held", "name", "nbytes", "op", "owner", "told")

    def __init__(self, name: str, nbytes: int = 0) -> None:
        self.name = name
        """Empty while no op has told of it: it was made within what is told as one op."""
        self.nbytes = nbytes
        self.op: o.Malloc | None = None
        self.owner: str | None = None
        """Its stream, where it is known."""
        self.device = 0
        self.told = True
        """Whether the platform tells when it is freed."""
        self.held = False
        """Whether a graph holds it."""
        self.freed = False
        """Whether it was freed while a graph held it."""

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
        self.gradients: dict[int, Block] = {}
        """Allocated in the backward pass that runs."""

    def span(self, tensor: torch.Tensor) -> o.RangeSpec | None:
        """Give the bytes of a device tensor; None where it has none."""
        try:
            offset = int(tensor.storage_offset())
            if offset:
                offset *= tensor.itemsize
            pointer = self._pointer(tensor)
        except RuntimeError:
            self._unseen(tensor)
            return None
        block = self.live.get(pointer - offset)
        if block is None or not block.nbytes:
            if not tensor.numel() or not pointer:
                return None
            block = self._meet(tensor, pointer - offset, block)
        if not offset and tensor.is_contiguous() and tensor.nbytes == block.nbytes:
            return block.name
        return span_of(tensor, block.name, block.nbytes, offset)

    def _unseen(self, tensor: torch.Tensor) -> None:
        """Tell of a tensor that has no storage, unless it has no memory at all."""
        if type(tensor).__name__ not in NO_MEMORY:
            layout = str(tensor.layout).removeprefix("torch.")
            self._observer.gap("accesses", f"what ops do with tensors of layout {layout}")

    def _meet(self, tensor: torch.Tensor, base: int, block: Block | None) -> Block:
        """Learn the size of a block, or of a block that nobody told of."""
        nbytes = self._platform.storage_bytes(tensor)
        if block is not None:
            if not block.name:
                self._tell(block, base)
            block.resize(nbytes)
            return block
        earlier = self._earlier.pop(base, None)
        device = self._platform.device_of(tensor)
        block = self.live[base] = Block("", nbytes)
        block.device = device
        if earlier is not None:
            block.owner, block.device = self._observer.names.stream(earlier[1], device)
        else:  # made past the allocator that tells: its storage tells of its end
            block.told = False
            self._platform.on_death(tensor, self._ending(base, block))
        self._tell(block, base)
        return block

    def _tell(self, block: Block, base: int) -> None:
        block.name = self._observer.names.fresh("d")
        block.op = Malloc(
            buffer=block.name, bytes=block.nbytes or None, address=base, allocator="caching",
            stream=block.owner, device=block.device,
        )  # fmt: skip
        self._observer.emit(block.op)

    def _ending(self, base: int, block: Block) -> Callable[[], None]:
        def end() -> None:
            if self.live.get(base) is block:
                self.freed(base)

        return end

    def allocated(self, base: int) -> None:
        """Take note of an allocation by the calling thread, on its current stream (R36)."""
        observer, local = self._observer, self._observer.local
        device = self._platform.current_device()
        owner, device = observer.names.stream(self._platform.current_stream(device), device)
        self._earlier.pop(base, None)
        block = self.live[base] = Block("")
        block.device = device
        if observer.graphs.is_captured(owner):
            observer.graphs.hold(block)
        else:
            block.owner = owner
        if local.quiet:
            return  # most of these are freed again before anything is told of them
        self._tell(block, base)
        if local.depth:
            local.made.append(block)
        if observer.hosts.backward:
            self.gradients[base] = block

    def guard(self, stream: str, device: int) -> None:
        """Record what the autograd engine does unseen where a gradient changes streams (R37).

        It lets the consumer's stream wait, of which a callback tells, and records the gradient
        on it. Which gradient that is nobody tells: it is one of this backward pass.
        """
        for block in self.gradients.values():
            if block.owner not in (None, stream):
                self._observer.emit(_RecordStream(buffer=block.name, stream=stream, device=device))

    def catch_up(self) -> None:
        """Take note of frees that the platform did not tell of."""
        found = self._platform.live_blocks()
        for base in [at for at, block in self.live.items() if block.told and at not in found]:
            self.freed(base)

    def freed(self, base: int) -> None:
        """Take note of a free; that of an op's own workspace is told after the op."""
        self._earlier.pop(base, None)
        block = self.live.pop(base, None)
        if block is None:
            return
        block.freed = True
        local = self._observer.local
        if block.held or not block.name:
            return
        self.gradients.pop(base, None)
        if local.depth and block in local.made:
            local.freed.append(block)
        else:
            self._observer.emit(Free(buffer=block.name))
