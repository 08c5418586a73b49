"""What holds for a whole run: configuration, host threads, sites, names, streams and the engine."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from streamsan.sim.device.hosts import Host, Hosts
from streamsan.sim.device.policies import read_policy
from streamsan.sim.device.queues import Engine, Queue
from streamsan.sim.device.record import Recorder
from streamsan.sim.device.sites import Sites
from streamsan.traces import ops as o
from streamsan.traces import recorder
from streamsan.traces.recorder.annotate import current_name

POOL = 32
"""Streams of each priority and device; torch hands them out in turn, so they come round again."""
_HIDDEN = (
    str(Path(torch.__file__).parent),
    str(Path(recorder.__file__).parent),
    contextlib.__file__,
)
"""Where frames lie that no site shows: torch, annotations, and what enters them."""


@dataclass
class Config:
    """What ``install`` and ``session`` set."""

    policy: str = "eager"
    devices: int = 2
    memory: int = 8 << 30
    record: bool = True
    poison: bool = True
    seed: int = 0


class State:
    """A machine without memory and work."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hosts = Hosts()
        self.config = Config()
        self.installed = self.config
        """What ``install`` was told: a session changes it for itself only."""
        self._site: int | None = None
        self.holds_site: Host | None = None
        """The thread for which ``hold_site`` holds."""
        self._start(self.config)

    def _start(self, config: Config) -> None:
        """Begin a run."""
        self.config = config
        self.sites = Sites(_HIDDEN)
        self.engine = Engine(read_policy(config.policy), self.sites.text)
        self.recorder = Recorder(self.sites, config.record)
        self.seeds = [config.seed] * config.devices
        self.draws = [0] * config.devices
        self._pools: dict[tuple[int, int], int] = {}
        self._names = 0
        self._given: Counter[str] = Counter()
        for device in range(config.devices):
            self._queue(device, 0, 0)

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
