"""Host memory: pinned blocks, whose accesses are recorded, and pageable ends of transfers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import Free, HostRead, HostWrite, Malloc
from streamsan.traces.recorder.live.blocks import Block
from streamsan.traces.recorder.live.spans import span_of

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer

Access = type[o.HostRead] | type[o.HostWrite] | type[o.HostEscape]


class HostBlock:
    """A storage on the host. It has a name once the trace speaks of it."""

    __slots__ = ("name", "nbytes", "noted", "pinned")

    def __init__(self, nbytes: int, pinned: bool) -> None:
        self.name: str | None = None
        self.nbytes = nbytes
        self.pinned = pinned
        self.noted: set[str] = set()
        """Streams of its non-blocking transfers: the allocator guards its reuse by them (R38)."""


class HostMemory:
    """The storages of CPU tensors that were met."""

    def __init__(self, observer: Observer) -> None:
        self.live: dict[int, HostBlock] = {}
        self._observer = observer
        self._platform = observer.platform

    def block(self, tensor: torch.Tensor) -> HostBlock:
        """Give the block of a CPU tensor."""
        base = self._platform.host_pointer(tensor)
        found = self.live.get(base)
        if found is None:
            nbytes = self._platform.storage_bytes(tensor)
            found = self.live[base] = HostBlock(nbytes, self._platform.is_pinned(tensor))
            self._platform.on_death(tensor, self._ending(base, found))
            if found.pinned:
                self._name(found, base)
        return found

    def _name(self, block: HostBlock, base: int) -> str:
        block.name = self._observer.names.fresh("h" if block.pinned else "p")
        op = Malloc(buffer=block.name, space="pinned" if block.pinned else "pageable",
                    bytes=block.nbytes or None)  # fmt: skip
        if block.pinned:
            op.allocator, op.address = "caching_host", base
        self._observer.emit(op)
        return block.name

    def _ending(self, base: int, block: HostBlock) -> Callable[[], None]:
        def end() -> None:
            if self.live.get(base) is block:
                del self.live[base]
                if block.name is not None:
                    self._observer.emit(Free(buffer=block.name))
                    self._observer.events.pinned_freed(block.noted)

        return end

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        """Whether a CPU tensor lies in pinned memory."""
        return tensor.layout is torch.strided and self.block(tensor).pinned

    def span(self, tensor: torch.Tensor) -> o.RangeSpec | None:
        """Give the bytes of a CPU tensor; None where it has none."""
        if not tensor.numel():
            return None
        block = self.block(tensor)
        name = block.name or self._name(block, self._platform.host_pointer(tensor))
        return span_of(tensor, name, block.nbytes, int(tensor.storage_offset()) * tensor.itemsize)

    def note(self, tensor: torch.Tensor, cls: Access, via: str) -> None:
        """Record that host code accesses a pinned tensor."""
        span = self.span(tensor)
        if span is not None:
            self._observer.emit(cls(buffer=span, via=via))

    def scratch(self) -> str:
        """Give the pageable buffer into which the calling thread takes single values."""
        local = self._observer.local
        if not local.scratch:
            local.scratch = self._observer.names.unique("scratch")
            self._observer.emit(Malloc(buffer=local.scratch, space="pageable", bytes=8))
        return local.scratch

    def temporary(self, nbytes: int) -> str:
        """Give pageable memory that lives as long as the op of torch that used it."""
        name = self._observer.names.fresh("p")
        self._observer.emit(Malloc(buffer=name, space="pageable", bytes=nbytes))
        self._observer.local.freed.append(Block(name, nbytes))
        return name

    def read_unseen(self, target: o.RangeSpec) -> None:
        """Take a transfer to pageable memory as read: what plain host code does is not seen."""
        self._observer.emit(HostRead(buffer=target, via="unseen"))

    def follow(self, reads: list[torch.Tensor], writes: list[torch.Tensor], via: str) -> None:
        """Record what an op of the host reads and writes of pinned memory."""
        for tensor in reads:
            if self.is_pinned(tensor):
                self.note(tensor, HostRead, via)
        for tensor in writes:
            if self.is_pinned(tensor):
                self.note(tensor, HostWrite, via)
