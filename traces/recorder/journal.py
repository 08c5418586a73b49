"""The ops of a recording, from the threads of the program to the one that writes them.

A thread that issues an op appends it to a list: no lock, for a collection of garbage may free
tensors, and so issue ops, in the middle of anything. The writer takes what has lain there for a
tick, so that facts learnt a moment later (a block's size) still reach the file.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import NO_EVENT, EventRecord, Malloc, lightened

TICK = 0.05
"""Seconds between two looks of the writer."""
HOLD = 1_000_000_000
"""Nanoseconds that an allocation waits for its size before it is written without."""


class Output(Protocol):
    """Where ops go."""

    def add(self, ops: list[o.OpBase]) -> None:
        """Take the next ops; ``site`` is an index into ``sites``."""

    def gap(self, fact: str | None, reason: str) -> None:
        """Take note of what was not seen."""

    def flush(self) -> None:
        """Let the file hold all that was added."""

    def close(self) -> None:
        """End."""


class SiteTable:
    """Puts stacks into words, and numbers the words."""

    def __init__(self, text: Callable[[int], tuple[str, ...]]) -> None:
        self.table: list[tuple[str, ...]] = []
        self._text = text
        self._number: dict[int, int | None] = {}
        self._by_text: dict[tuple[str, ...], int] = {}

    def number(self, raw: int) -> int | None:
        """Give the number in the file of a raw stack."""
        try:
            return self._number[raw]
        except KeyError:
            text = self._text(raw)
            found = None
            if text:
                found = self._by_text.setdefault(text, len(self.table))
                if found == len(self.table):
                    self.table.append(text)
            self._number[raw] = found
            return found


class Journal:
    """A list of ops, and the thread that writes them.

    Args:
        output: where they go.
        sites: gives raw stacks their numbers.
    """

    def __init__(self, output: Output, sites: SiteTable) -> None:
        self.ops: list[o.OpBase] = []
        self.put = self.ops.append
        self.failure: BaseException | None = None
        self._output = output
        self._sites = sites
        self._ripe = 0
        self._gaps: list[tuple[str | None, str]] = []
        self._wish = threading.Lock()  # used as a semaphore; events of the program are watched
        self._wish.acquire()
        self._asked, self._served = count(1), 0
        self._last_wish = 0
        self._closing = False
        self._running = False

    def start(self) -> None:
        """Start the writer: past ``threading``, whose threads are the program's and watched."""
        self._running = True
        _thread.start_new_thread(self._run, ())

    def gap(self, fact: str | None, reason: str) -> None:
        """Note that something was not seen: ``accesses``, ``host``, ``sync`` or ``memory``."""
        self._gaps.append((fact, reason))

    def flush(self) -> None:
        """Return when all ops so far are in the file.

        Raises:
            BaseException: what stopped the writer.
        """
        wish = self._last_wish = next(self._asked)
        self._wake()
        while self._served < wish and self._running:
            time.sleep(0.001)
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Write the rest, and end the file.

        Raises:
            BaseException: what stopped the writer.
        """
        self._closing = True
        self._wake()
        while self._running:  # no join: the program's threads may be watched
            time.sleep(0.001)
        if self.failure is not None:
            raise self.failure

    def _wake(self) -> None:
        if self._wish.locked():
            self._wish.release()

    def _run(self) -> None:
        try:
            while not self._closing:
                self._wish.acquire(timeout=TICK)
                self._round(self._last_wish)
            self._ripe = len(self.ops)
            self._write(self._ripe)
        except BaseException as error:  # noqa: BLE001 - handed to whoever flushes or closes
            self.failure = error
        finally:
            try:
                self._output.close()
            except OSError as error:
                self.failure = self.failure or error
            self._running = False

    def _round(self, wish: int) -> None:
        """Write what is ripe; all of it if somebody waits."""
        asked = wish > self._served
        length = len(self.ops)
        self._write(length if asked else self._ripe, hold=not asked)
        if asked:
            self._output.flush()
        self._ripe = 0 if asked else len(self.ops)
        self._served = wish

    def _write(self, count_: int, *, hold: bool = False) -> None:
        """Hand the first ops to the output; with ``hold`` not those that are still to be completed.

        Device memory is told of without its size, which the first tensor on it tells.
        """
        while self._gaps:
            self._output.gap(*self._gaps.pop(0))
        batch = self.ops[:count_]
        number = self._sites.number
        light = []
        young = time.time_ns() - HOLD
        taken = 0
        for each in batch:
            op = lightened(each)
            if hold and type(op) is Malloc and op.bytes is None and (op.t or 0) > young:
                break
            taken += 1
            if type(op) is EventRecord and op.event == NO_EVENT:
                continue
            if op.site is not None:
                op.site = number(op.site)
            light.append(op)
        del self.ops[:taken]
        if light:
            self._output.add(light)


ENCODER = msgspec.json.Encoder()
