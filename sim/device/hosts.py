"""Host threads: what CUDA and torch keep for each of them.

The threads of the autograd engine count as the thread that called ``backward``: it waits for
them, so their work is its own, in order.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter

from streamsan.sim.device.queues import Queue


class Host:
    """One thread of the program: its name in the trace, current device and current streams."""

    __slots__ = ("current", "device", "history", "name", "scratch", "site")

    def __init__(self, name: str) -> None:
        self.name = name
        self.device = 0
        self.current: dict[int, Queue] = {}
        self.site: int | None = None
        self.scratch = ""
        self.history: list[tuple[int, Queue]] = []
        """From which autograd sequence number on which stream was current."""

    def note(self, number: int, queue: Queue) -> None:
        """Note that a stream is current from a sequence number on."""
        if self.history and self.history[-1][0] == number:
            self.history[-1] = (number, queue)
        elif self.history or queue.index or queue.device:
            self.history.append((number, queue))

    def queue_at(self, number: int, default: Queue) -> Queue:
        """Give the stream that was current when a node got its sequence number."""
        at = bisect_right(self.history, number, key=lambda entry: entry[0])
        return self.history[at - 1][1] if at else default


class Hosts:
    """Finds the Host of the calling thread."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._names: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.backward: list[Host] = []
        self.generation = 0

    def here(self) -> Host:
        """Give the calling thread's Host."""
        try:
            host: Host = self._local.host
        except AttributeError:
            host = self._new(threading.current_thread())
        if host.name:
            return host
        return self.backward[-1] if self.backward else self._adopt()

    def of(self, thread: threading.Thread) -> Host:
        """Give a thread a Host before it runs, so that its start can be recorded."""
        host = Host(self._name(thread.name))
        thread.__dict__["_simcuda_host"] = (self.generation, host)
        return host

    def _new(self, thread: threading.Thread) -> Host:
        host: Host | None
        generation, host = thread.__dict__.get("_simcuda_host", (0, None))
        if host is not None and generation != self.generation:
            host = Host(self._name(thread.name))  # it has lived since before this run
        elif host is None and thread is threading.main_thread():
            host = Host("main")
        elif host is None and isinstance(thread, threading._DummyThread):  # noqa: SLF001
            host = Host("")  # made by C++: a thread of the autograd engine, as far as we know
        elif host is None:
            host = Host(self._name(thread.name))
        self._local.host = host
        return host

    def _adopt(self) -> Host:
        """Name a thread that C++ made outside any backward."""
        host = self._local.host = Host(self._name(threading.current_thread().name))
        return host

    def _name(self, wanted: str) -> str:
        """Make a thread's name unique: two workers may bear the same."""
        with self._lock:
            self._names[wanted] += 1
            count = self._names[wanted]
        return wanted if count == 1 and wanted != "main" else f"{wanted}#{count}"

    def clear(self) -> None:
        """Forget everything: each thread starts anew, on device 0 and its default stream."""
        self._local = threading.local()
        self._names.clear()
        self.generation += 1
        self.backward.clear()
