"""Allocations and frees: what a free waits for, and what the allocator waits for later."""

from __future__ import annotations

from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order.edges import Reason
from streamsan.traces.order.graph import Release
from streamsan.traces.order.semantics.copies import Copies


class Memory(Copies):
    """R26 to R29, R36 to R38, R54."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Start with no stream recorded on a block."""
        super().__init__(trace, semantics)
        self.recorded_on: dict[int, list[int]] = {}

    def on_malloc(self, op: int) -> None:
        """R26, R27: no order; a stream-ordered one is malloc_async."""
        if self.trace[op].bit("allocator") == "stream_ordered" and self.stream_of[op] >= 0:
            self.issue(op)
        else:
            self.host(op)

    def on_malloc_async(self, op: int) -> None:
        """R28: usable in stream order after it."""
        self.issue(op)

    def on_free(self, op: int) -> None:
        """R27, R36 to R38, R54: what the free waits for, and what the allocator will wait for."""
        buffers = self.trace.buffers
        buffer = int(buffers.of_op[op])
        allocator, space = buffers.allocator[buffer], buffers.space[buffer]
        known = buffers.malloc[buffer] >= 0
        waits = allocator in ("plain", "stream_ordered") and space in ("device", "managed")
        if known and waits and self.semantics.cuda_free_synchronizes:
            tails = self.device_tails(int(buffers.device[buffer]))
            node = self.join(op, tails, Reason.FREE_DRAINS)
        else:
            node = self.host(op)
        owner = int(buffers.owner[buffer])
        if owner >= 0:
            tails = [self.tail[owner], *self.legacy_sources(owner), node]
            self.owner_tail[op] = tuple(t for t in tails if t >= 0)
        self._release(op, buffer, allocator)

    def _release(self, op: int, buffer: int, allocator: str) -> None:
        if allocator == "caching":
            streams = self.recorded_on.get(buffer, [])
        elif allocator == "caching_host":
            streams = self.noted.get(buffer, [])
        else:
            return
        nodes = [n for s in streams for n in (self.tail[s], *self.legacy_sources(s)) if n >= 0]
        self.releases[buffer] = Release(op, tuple(nodes))

    def on_free_async(self, op: int) -> None:
        """R28, R29: the free is an op of its stream; a reuse of the address comes after it."""
        node = self.issue(op)
        buffer = int(self.trace.buffers.of_op[op])
        self.releases[buffer] = Release(op, (node,))

    def on_record_stream(self, op: int) -> None:
        """R37: noted until the free."""
        buffer = int(self.trace.buffers.of_op[op])
        streams = self.recorded_on.setdefault(buffer, [])
        if self.stream_of[op] not in streams:
            streams.append(self.stream_of[op])
        self.host(op)

    def on_host_register(self, op: int) -> None:
        """Pageable memory becomes pinned."""
        self.registered.add(int(self.trace.buffers.of_op[op]))
        self.host(op)

    def on_host_unregister(self, op: int) -> None:
        """And back."""
        self.registered.discard(int(self.trace.buffers.of_op[op]))
        self.host(op)
