"""What memory a run holds: allocations, their ends, and what the host does with its own."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable

from streamsan.sim.device.hostmem import HostBlock, HostPool
from streamsan.sim.device.hosts import Host
from streamsan.sim.device.memory import Arena, Block
from streamsan.sim.device.pageable import Pageable
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.state import Config, State
from streamsan.traces import ops as o


class Allocations(State):
    """A machine with memory."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        """Called after each restart: whatever lives on must be made known to the new record."""
        self.epoch = 0
        self.live: dict[str, weakref.ref[Block | HostBlock]] = {}
        self._dead: deque[tuple[Block | HostBlock, Host, int | None]] = deque()
        super().__init__()

    def _start(self, config: Config) -> None:
        super()._start(config)
        self.arenas = [
            Arena(i, config.memory, config.poison, self.engine.issue, self.empty_cache)
            for i in range(config.devices)
        ]
        self.pinned = HostPool()
        self.pageable = Pageable(self.name, self.recorder.add)

    def restart(self, config: Config) -> None:
        """Finish all work, then begin anew: schedule, record, allocators, stream pools, seeds.

        Tensors, streams and events of before stay usable: all their work is done, and the new
        record begins with their allocation.
        """
        with self.lock:
            self.engine.drain_all()
            self.flush()
            self.hosts.clear()
            self.epoch += 1
            self._start(config)
            self._adopt()
            for listener in self.listeners:
                listener()

    def _adopt(self) -> None:
        """Put the memory that lives on into the new record."""
        living = [block for ref in self.live.values() if (block := ref()) is not None]
        self.live.clear()
        devices = [block for block in living if isinstance(block, Block)]
        for arena in self.arenas:
            arena.adopt([block.chunk for block in devices if block.device == arena.device])
        for block in living:
            if isinstance(block, Block):
                block.queue = self.engine.queues[f"{block.device}.0"]
                block.guests.clear()
                block.name = self.name("d")
                self._record_malloc(block, block.queue)
            else:
                self.pinned.adopt(block.chunk)
                block.noted.clear()
                block.name = self.name("h")
                self._record_malloc(block, None)

    def _record_malloc(self, block: Block | HostBlock, queue: Queue | None) -> None:
        host = self.hosts.here()
        self.recorder.add(
            o.Malloc(
                buffer=block.name, bytes=block.nbytes, address=block.address, thread=host.name,
                space="pinned" if queue is None else "device",
                allocator="caching_host" if queue is None else "caching",
                stream=None if queue is None else queue.name,
                device=0 if queue is None else queue.device, site=self.site(host),
            )
        )  # fmt: skip
        self.live[block.name] = weakref.ref(block)

    def enter(self) -> Host:
        """Begin a call: handle what was freed since, tell of kernels that failed."""
        if self._dead:
            self.flush()
        self.engine.raise_failure()
        return self.hosts.here()

    def malloc(self, nbytes: int, queue: Queue) -> Block:
        """Allocate device memory; the stream is the owner (R36)."""
        if self._dead:
            self.flush()
        chunk = self.arenas[queue.device].malloc(nbytes, queue)
        block = Block(chunk, nbytes, self.name("d"), queue, self._release)
        block.epoch = self.epoch
        self._record_malloc(block, queue)
        return block

    def empty_cache(self, device: int) -> None:
        """Give unused segments back, for which the host waits: as ``Waits`` has it."""
        raise NotImplementedError

    def malloc_pinned(self, nbytes: int) -> HostBlock:
        """Allocate pinned memory (R38)."""
        with self.lock:
            self.enter()
            chunk = self.pinned.malloc(nbytes)
            block = HostBlock(chunk, nbytes, self.name("h"), self._release)
            block.epoch = self.epoch
            self._record_malloc(block, None)
            return block

    def record_stream(self, block: Block, queue: Queue) -> None:
        """Let the allocator hold a block until the stream's work at the free is done (R37)."""
        with self.lock:
            host = self.enter()
            if queue is not block.queue:
                block.guests[queue.label] = queue
            self.recorder.add(
                o.RecordStream(
                    buffer=block.name, stream=queue.name, device=queue.device, thread=host.name,
                    site=self.site(host),
                )
            )  # fmt: skip
            self.engine.point()

    def _release(self, block: Block | HostBlock) -> None:
        """Note a death. It comes at any moment, even by the garbage collector within a call."""
        host = self.hosts.here()
        self._dead.append((block, host, self.site(host)))

    def flush(self) -> None:
        """Free what died."""
        with self.lock:
            while self._dead:
                self._free(*self._dead.popleft())

    def _free(self, block: Block | HostBlock, host: Host, site: int | None) -> None:
        if self.live.pop(block.name, None) is None:
            return
        self.recorder.add(o.Free(buffer=block.name, thread=host.name, site=site))
        if block.epoch != self.epoch:
            return  # its memory belongs to an earlier run, and goes with it
        if isinstance(block, Block):
            guests = [queue.place for queue in block.guests.values()]
            self.arenas[block.device].free(block.chunk, block.queue, guests)
        else:
            self.pinned.free(block.chunk, [queue.place for queue in block.noted.values()])

    def host_access(
        self, cls: type[o.HostRead | o.HostWrite | o.HostEscape], span: o.RangeSpec, via: str
    ) -> None:
        """Record what host code does to host memory."""
        host = self.enter()
        self.recorder.add(cls(buffer=span, via=via, thread=host.name, site=self.site(host)))
        self.engine.point()

    def scratch(self) -> str:
        """Give the pageable buffer into which the calling thread takes single values."""
        host = self.hosts.here()
        if not host.scratch:
            host.scratch = self.name("scratch")
            self.recorder.add(
                o.Malloc(buffer=host.scratch, space="pageable", bytes=8, thread=host.name)
            )
        return host.scratch
