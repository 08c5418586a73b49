"""Host threads: what CUDA and torch keep for each of them.

The threads of the autograd engine count as the thread that called ``backward``: it waits for
them, so their work is its own, in order. What they free after it still counts as its work.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter

from streamsan.sim.device.internals import graph_task
from streamsan.sim.device.queues import Queue


class History:
    """From which autograd sequence number on which stream was current, in one thread.

    The numbers are a thread's own, those of the engine's threads as well.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[tuple[int, Queue]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def note(self, number: int, queue: Queue) -> None:
        """Note that a stream is current from a sequence number on."""
        if self._entries and self._entries[-1][0] == number:
            self._entries[-1] = (number, queue)
        elif self._entries[-1][1] is not queue if self._entries else queue.index or queue.device:
            self._entries.append((number, queue))

    def queue_at(self, number: int, default: Queue) -> Queue:
        """Give the stream that was current when a node got its sequence number."""
        at = bisect_right(self._entries, number, key=lambda entry: entry[0])
        return self._entries[at - 1][1] if at else default


class Host:
    """One thread of the program: its name in the trace, current device and current streams."""

    __slots__ = ("current", "device", "name", "scratch", "site")

    def __init__(self, name: str) -> None:
        self.name = name
        self.device = 0
        self.current: dict[int, Queue] = {}
        self.site: int | None = None
        self.scratch = ""


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
            host: Host | None = self._local.host
        except AttributeError:
            host = self._local.host = self._new(threading.current_thread())
        return self._served() if host is None else host

    def history(self) -> History:
        """Give the calling thread's own notes of its streams, in the engine's threads too."""
        try:
            found: History = self._local.history
        except AttributeError:
            found = self._local.history = History()
        return found

    def of(self, thread: threading.Thread) -> Host:
        """Give a thread a Host before it runs, so that its start can be recorded."""
        host = Host(self._name(thread.name))
        thread.__dict__["_simcuda_host"] = (self.generation, host)
        return host

    def _new(self, thread: threading.Thread) -> Host | None:
        host: Host | None
        generation, host = thread.__dict__.get("_simcuda_host", (0, None))
        if host is not None and generation != self.generation:
            return Host(self._name(thread.name))  # it has lived since before this run
        if host is None and thread is threading.main_thread():
            return Host("main")
        if host is None and isinstance(thread, threading._DummyThread):  # noqa: SLF001
            return None  # made by C++: a thread of the autograd engine, as far as we know
        return Host(self._name(thread.name)) if host is None else host

    def _served(self) -> Host:
        """Give the Host whose backward a thread made by C++ works for, or worked for last.

        It may come by outside any backward as well: what it held is freed late.
        """
        if self.backward and graph_task() != -1:
            self._local.served = self.backward[-1]
        try:
            host: Host = self._local.served
        except AttributeError:
            name = self._name(threading.current_thread().name)
            host = self._local.served = Host(name)
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
