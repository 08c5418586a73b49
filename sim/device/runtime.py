"""The simulated machine: devices, streams, memory, schedule and record of one process.

Everything that the program asks of it passes here, under one lock: what a call does to the
queues, and which op of the trace it is, are decided together. Nothing here knows of tensor
subclasses; those come on top.

The record carries simulated times, ns from the start of the run: of calls (``t``) and of work on
streams (``begin``, ``end``). They do not depend on the schedule, and order nothing: every call
takes 1 us, work takes 5 us, and a copy takes the time of its bytes on the link as well. All host
threads share one clock.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streamsan.sim.device.hostmem import HostBlock, HostPool
from streamsan.sim.device.hosts import Host, Hosts
from streamsan.sim.device.memory import Arena, Block
from streamsan.sim.device.pageable import Pageable
from streamsan.sim.device.policies import read_policy
from streamsan.sim.device.queues import Engine, Item, Place, Queue
from streamsan.sim.device.record import Recorder
from streamsan.sim.device.sites import Sites
from streamsan.traces import ops as o
from streamsan.traces import recorder
from streamsan.traces.model import Trace
from streamsan.traces.recorder.annotate import current_name

POOL = 32
"""Streams of each priority and device; torch hands them out in turn, so they come round again."""
_POLLS = 4
"""Queries of unfinished work that answer no, before the work is made to finish."""
_LAUNCH_NS = 5_000
_HIDDEN = (
    str(Path(torch.__file__).parent),
    str(Path(recorder.__file__).parent),
    contextlib.__file__,
)
"""Where frames lie that no site shows: torch, annotations, and what enters them."""
_CALL_NS = 1_000
LINK_BYTES_PER_NS = 25
"""About what PCIe 4 x16 moves between host and device: 25 GB a second."""


@dataclass
class Config:
    """What ``install`` and ``session`` set."""

    policy: str = "eager"
    devices: int = 2
    memory: int = 8 << 30
    record: bool = True
    poison: bool = True
    seed: int = 0


class Capture:
    """A generation of an event: the place in the queue, and the simulated time it is done."""

    __slots__ = ("place", "polls", "time")

    def __init__(self, place: Place, time: int) -> None:
        self.place = place
        self.time = time
        self.polls = 0


class Runtime:
    """The one simulated machine of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hosts = Hosts()
        self.sites = Sites(_HIDDEN)
        self.config = Config()
        self.installed = self.config
        """What ``install`` was told: a session changes it for itself only."""
        self.listeners: list[Callable[[], None]] = []
        """Called after each restart: whatever lives on must be made known to the new record."""
        self.epoch = 0
        self.live: dict[str, weakref.ref[Block | HostBlock]] = {}
        self._dead: deque[tuple[Block | HostBlock, Host, int | None]] = deque()
        self._site: int | None = None
        self.holds_site: Host | None = None
        """The thread for which ``hold_site`` holds."""
        self._start(self.config)

    def _start(self, config: Config) -> None:
        self.config = config
        self.engine = Engine(read_policy(config.policy), self.sites.text)
        self.recorder = Recorder(self.sites, config.record)
        self.arenas = [
            Arena(i, config.memory, config.poison, self._issue_quietly)
            for i in range(config.devices)
        ]
        self.pinned = HostPool()
        self.pageable = Pageable(self.name, self.recorder.add)
        self.now = 0
        self.seeds = [config.seed] * config.devices
        self.draws = [0] * config.devices
        self._pools: dict[tuple[int, int], int] = {}
        self._names = 0
        self._given: Counter[str] = Counter()
        for device in range(config.devices):
            self._queue(device, 0, 0)

    def restart(self, config: Config) -> None:
        """Finish all work, then begin anew: schedule, record, allocators, stream pools, seeds.

        Tensors, streams and events of before stay usable: all their work is done, and the new
        record begins with their allocation.
        """
        with self.lock:
            self.engine.drain_all()
            self.flush()
            self.sites = Sites(_HIDDEN)
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

    # -- names, sites and streams

    def name(self, prefix: str) -> str:
        """Give a fresh name: the program's own, where one holds."""
        self._names += 1
        return self._unique(current_name() or f"{prefix}{self._names}")

    def _unique(self, name: str) -> str:
        self._given[name] += 1
        count = self._given[name]
        return name if count == 1 else self._unique(f"{name}#{count}")

    def site(self, host: Host) -> int | None:
        """Give the calling stack's site; a thread of the autograd engine has its caller's."""
        if self.holds_site is host:
            return self._site
        found = self.sites.here()
        return host.site if found is None else found

    def hold_site(self) -> None:
        """Take the site once for all that one op does. The caller has the lock."""
        host = self.hosts.here()
        self._site = self.site(host)
        self.holds_site = host

    def drop_site(self) -> None:
        """End ``hold_site``."""
        self.holds_site = None

    def _queue(self, device: int, index: int, priority: int) -> Queue:
        queue = self.engine.queues.get(f"{device}.{index}")
        if queue is None:
            queue = Queue(device, index, priority)
            if index and (wanted := current_name()) is not None:
                queue.name = self._unique(wanted)
            self.engine.add(queue)
            if index:
                self.recorder.add(
                    o.StreamCreate(
                        stream=queue.name, device=device, priority=priority,
                        thread=self.hosts.here().name,
                    )
                )  # fmt: skip
        return queue

    def new_queue(self, device: int, priority: int) -> Queue:
        """Hand out the next stream of a pool."""
        with self.lock:
            urgent = priority < 0
            turn = self._pools.get((device, urgent), 0)
            self._pools[device, urgent] = turn + 1
            index = 1 + turn % POOL + POOL * urgent
            return self._queue(device, index, -1 if urgent else 0)

    def queue_at(self, device: int, index: int) -> Queue:
        """Find a stream by its id; 0 is the default stream.

        Raises:
            ValueError: there is no such device.
        """
        if not 0 <= device < self.config.devices:
            raise ValueError(f"there is no device simcuda:{device}")
        found = self.engine.queues.get(f"{device}.{index}")
        if found is not None:
            return found
        with self.lock:
            return self._queue(device, index, -1 if index > POOL else 0)

    def current(self, device: int | None = None) -> Queue:
        """Give the calling thread's current stream on a device."""
        host = self.hosts.here()
        device = host.device if device is None else device
        found = host.current.get(device)
        return found if found is not None else self.engine.queues[f"{device}.0"]

    # -- work

    def enter(self) -> Host:
        """Begin a call: handle what was freed since, tell of kernels that failed."""
        if self._dead:
            self.flush()
        self.engine.raise_failure()
        return self.hosts.here()

    def launch(  # noqa: PLR0917 - named by all callers
        self,
        queue: Queue,
        name: str,
        run: Callable[[], object],
        reads: Iterable[o.RangeSpec],
        writes: Iterable[o.RangeSpec],
        cost: int = 0,
    ) -> int:
        """Queue a kernel."""
        host = self.enter()
        site = self.site(host)
        name = current_name() or name
        start, begin, end = self._spend(queue, _LAUNCH_NS + cost)
        op = self.recorder.add(
            o.Launch(
                stream=queue.name, name=name, reads=tuple(reads), writes=tuple(writes),
                device=queue.device, thread=host.name, site=site,
                t=start, t_end=self.now, begin=begin, end=end,
            )
        )  # fmt: skip
        self.engine.issue(queue, Item(run, name, op, site))
        return op

    def memcpy(  # noqa: PLR0917 - named by all callers
        self,
        queue: Queue,
        run: Callable[[], object] | None,
        src: o.RangeSpec,
        dst: o.RangeSpec,
        kind: Any,
        via: str,
        *,
        blocking: bool,
        cost: int = 0,
    ) -> int:
        """Queue a copy. The caller drains the stream afterwards where the host has to wait."""
        host = self.enter()
        site = self.site(host)
        start, begin, end = self._spend(queue, _LAUNCH_NS + cost + self._link(kind, src, dst))
        op = self.recorder.add(
            o.Memcpy(
                stream=queue.name, src=src, dst=dst, async_=not blocking, kind=kind, via=via,
                name=current_name(),
                wait="stream" if blocking else None, device=queue.device, thread=host.name,
                site=site, t=start, begin=begin, end=end,
            )
        )  # fmt: skip
        if run is not None:
            self.engine.issue(queue, Item(run, f"copy {kind}", op, site))
        return op

    def drain(self, queue: Queue) -> None:
        """Let the host wait for a stream, as part of another call."""
        self.engine.drain(queue.place)
        self.now = max(self.now, queue.clock)
        self.engine.raise_failure()

    def _spend(self, queue: Queue, cost: int) -> tuple[int, int, int]:
        """Let time go by for a call; give when it was made, and when its work begins and ends."""
        start = self.now
        self.now += _CALL_NS
        begin = max(queue.clock, self.now)
        queue.clock = begin + cost
        return start, begin, queue.clock

    def _link(self, kind: Any, *ends: o.RangeSpec) -> int:
        """Give how long the bytes of a copy take between host and device, ns."""
        if kind not in ("H2D", "D2H"):
            return 0
        return max(map(self._size, ends)) // LINK_BYTES_PER_NS

    def _size(self, span: o.RangeSpec) -> int:
        if isinstance(span, str):
            ref = self.live.get(span)
            block = None if ref is None else ref()
            return 0 if block is None else block.nbytes
        if isinstance(span, tuple):
            return span[2]
        return math.prod(span.shape) * span.itemsize

    def _issue_quietly(self, queue: Queue, item: Item) -> None:
        self.engine.issue(queue, item)

    # -- synchronisation

    def synchronize(self, queue: Queue) -> None:
        """Wait for a stream (R9)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.StreamSynchronize(
                    stream=queue.name, device=queue.device, thread=host.name,
                    site=self.site(host), t=self.now,
                )
            )  # fmt: skip
            self.engine.point()
            self.drain(queue)

    def synchronize_device(self, device: int) -> None:
        """Wait for all streams of a device (R10)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.DeviceSynchronize(
                    device=device, thread=host.name, site=self.site(host), t=self.now
                )
            )
            self.engine.point()
            self.engine.drain_all(device)
            clocks = [q.clock for q in self.engine.queues.values() if q.device == device]
            self.now = max(self.now, *clocks)
            self.engine.raise_failure()

    def query(self, queue: Queue, polls: int) -> bool:
        """Ask a stream whether its work is done (R8); ``polls`` answers were no before."""
        with self.lock:
            host = self.enter()
            self.engine.point()
            done = self._answer(queue.place, polls)
            self.recorder.add(
                o.StreamQuery(
                    stream=queue.name, result="success" if done else "not_ready",
                    device=queue.device, thread=host.name, site=self.site(host),
                )
            )  # fmt: skip
            return done

    def _answer(self, place: Place, polls: int) -> bool:
        """Say no as long as is legal, but let a loop of polls come to an end."""
        if not place.done and polls >= _POLLS:
            self.engine.drain(place)
        self.engine.raise_failure()
        return place.done

    def record_event(self, event: str, queue: Queue) -> Capture:
        """Capture what a stream holds (R3)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.EventRecord(
                    event=event, stream=queue.name, device=queue.device, thread=host.name,
                    site=self.site(host), t=self.now, t_end=self.now + _CALL_NS,
                )
            )  # fmt: skip
            self.now += _CALL_NS
            self.engine.point()
            return Capture(queue.place, max(self.now, queue.clock))

    def wait_event(self, event: str, capture: Capture | None, queue: Queue) -> None:
        """Let later work of a stream wait for a capture (R6); without one, nothing (R5)."""
        with self.lock:
            host = self.enter()
            site = self.site(host)
            op = self.recorder.add(
                o.StreamWaitEvent(
                    stream=queue.name, event=event, device=queue.device, thread=host.name,
                    site=site, t=self.now, t_end=self.now,
                )
            )  # fmt: skip
            if capture is None:
                self.engine.point()
                return
            queue.clock = max(queue.clock, capture.time)
            if capture.place.queue is queue or capture.place.done:
                self.engine.point()
            else:
                self.engine.issue(queue, Item(None, "wait", op, site, capture.place))

    def synchronize_event(self, event: str, capture: Capture | None) -> None:
        """Wait for a capture (R7)."""
        with self.lock:
            host = self.enter()
            self.recorder.add(
                o.EventSynchronize(event=event, thread=host.name, site=self.site(host), t=self.now)
            )
            self.engine.point()
            if capture is not None:
                self.engine.drain(capture.place)
                self.now = max(self.now, capture.time)
            self.engine.raise_failure()

    def query_event(self, event: str, capture: Capture | None) -> bool:
        """Ask whether a capture is done (R8); an event never recorded is (R5)."""
        with self.lock:
            host = self.enter()
            self.engine.point()
            done = True
            if capture is not None:
                done = self._answer(capture.place, capture.polls)
                capture.polls += 1
                if done:
                    self.now = max(self.now, capture.time)
            self.recorder.add(
                o.EventQuery(
                    event=event, result="success" if done else "not_ready", thread=host.name,
                    site=self.site(host),
                )
            )  # fmt: skip
            return done

    # -- the host's own accesses

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

    # -- memory

    def malloc(self, nbytes: int, queue: Queue) -> Block:
        """Allocate device memory; the stream is the owner (R36)."""
        if self._dead:
            self.flush()
        chunk = self.arenas[queue.device].malloc(nbytes, queue)
        block = Block(chunk, nbytes, self.name("d"), queue, self._release)
        block.epoch = self.epoch
        self._record_malloc(block, queue)
        return block

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

    # -- results

    def trace(self, path: str = "-") -> Trace:
        """Give the trace of the run so far."""
        with self.lock:
            self.flush()
            return self.recorder.trace(self.config.devices, str(torch.__version__), path)

    def schedule(self) -> str:
        """Give the run's schedule, as a string that replays it."""
        return self.engine.schedule


RT = Runtime()
"""The machine. Made with the defaults; ``install`` and ``session`` start it anew."""
