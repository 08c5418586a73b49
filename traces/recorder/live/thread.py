"""What is kept for each thread of the program while it is recorded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamsan.traces import ops as o


class Local(threading.local):
    """The calling thread: its name in the trace, and what goes on in it."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.own_name = hosts.claim(threading.current_thread())
        self.depth = 0
        """How many ops of torch are being carried out."""
        self.calls = 0
        """How many calls of torch's own Python API are in progress that may record events."""
        self.quiet = 0
        """While above 0, nothing is recorded: one op of the trace stands for all of it."""
        self.made: list[Any] = []
        """Blocks of device memory allocated within the op."""
        self.freed: list[Any] = []
        """Blocks freed within the op."""
        self.syncs: list[o.OpBase] = []
        """Waits for a stream within the op, or within a call that may be told as a transfer."""
        self.moving = 0
        """How many calls are in progress of which no dispatcher sees the transfer."""
        self.naming: str | None = None
        """What the program called the event that is being recorded, when it made it."""
        self.held: list[o.OpBase] | None = None
        """Where ops go that must stand around another one."""
        self.call: int | None = None
        """The number of the profiler's range that the thread is in."""
        self.copies = 0
        """Transfers recorded so far."""
        self.via: str | None = None
        """What the program wrote, for transfers that follow from it."""
        self.scratch = ""
        self.tentative: list[o.EventRecord] = []
        """Records whose caller is not known: see ``events``."""
        self.expected: list[str] = []
        """Streams on which the pinned allocator is about to record events of its own."""

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Record nothing of the body: one op stands for all of it."""
        self.quiet += 1
        try:
            yield
        finally:
            self.quiet -= 1

    @property
    def name(self) -> str:
        """The thread's name; a thread of the autograd engine goes by its caller's."""
        return self.own_name or self.hosts.caller()


class Hosts:
    """Names of threads, each once."""

    def __init__(self) -> None:
        self.backward: list[tuple[str, int | None]] = []
        """Threads in a backward pass, and from where; the engine's work for the last one."""
        self._given: Counter[str] = Counter()
        self._known: dict[int, str] = {}

    def caller(self) -> str:
        """Give the thread that the autograd engine works for."""
        return self.backward[-1][0] if self.backward else "autograd"

    def site(self) -> int | None:
        """Give where the backward pass was asked for: the engine's threads have no stack."""
        return self.backward[-1][1] if self.backward else None

    def claim(self, thread: threading.Thread) -> str:
        """Name the calling thread; threads made by C++ are the autograd engine's: no name."""
        if thread is threading.main_thread():
            return "main"
        if isinstance(thread, threading._DummyThread):  # noqa: SLF001
            return ""
        return self._known.pop(id(thread), None) or self._unique(thread.name)

    def announce(self, thread: threading.Thread) -> str:
        """Name a thread before it runs."""
        name = self._known[id(thread)] = self._unique(thread.name)
        return name

    def _unique(self, wanted: str) -> str:
        self._given[wanted] += 1
        count = self._given[wanted]
        return wanted if count == 1 and wanted != "main" else f"{wanted}#{count}"
