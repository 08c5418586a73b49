"""A recording of the last ops only: bounded memory, bounded file, for as long as one likes."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.cut import Cut
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.growing import Gaps
from streamsan.traces.recorder.journal import ENCODER, SiteTable
from streamsan.traces.recorder.region import header_bytes

EVERY = 10.0
"""Seconds between two copies on disk, at least: what a process that is killed leaves."""
_SHARE = 20
"""Writing a copy takes at most one part in so many of the time."""


class Ring:
    """Keeps the last ``size`` ops, and writes them from time to time and at the end.

    Raises:
        RecordError: the file cannot be written.
    """

    def __init__(self, path: Path, header: o.Header, sites: SiteTable, size: int) -> None:
        self.path = path
        self._header = header
        self._sites = sites
        self._size = size
        self._ops: deque[o.OpBase] = deque()
        self._cut = Cut()
        self._gaps = Gaps()
        self._due = time.monotonic() + EVERY
        try:
            self.dump()
        except OSError as error:
            raise RecordError(f"{path}: {error.strerror}") from None

    def add(self, ops: list[o.OpBase]) -> None:
        """Keep ops in the place of the oldest."""
        self._ops.extend(ops)
        absorb, pop = self._cut.absorb, self._ops.popleft
        for _ in range(len(self._ops) - self._size):
            absorb(pop())
        if time.monotonic() >= self._due:
            begin = time.monotonic()
            self.dump()
            end = time.monotonic()
            self._due = end + max(EVERY, _SHARE * (end - begin))

    def gap(self, fact: str | None, reason: str) -> None:
        """Note a gap for the header."""
        self._gaps.add(fact, reason)

    def flush(self) -> None:
        """Write a copy."""
        self.dump()

    def close(self) -> None:
        """Write the last copy."""
        self.dump()

    def dump(self) -> None:
        """Write what is kept, in the place of the copy before."""
        ops = [*self._cut.head(), *self._ops]
        used = sorted({op.site for op in ops if op.site is not None})
        places = {site: place for place, site in enumerate(used)}
        lines = bytearray()
        for op in ops:
            site = op.site
            op.site = None if site is None else places[site]
            lines += ENCODER.encode(op) + b"\n"
            op.site = site
        header = msgspec.structs.replace(self._header, complete=self._gaps.complete)
        first = header_bytes(header, [self._sites.table[site] for site in used], self._gaps.rows)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        beside.write_bytes(first + b"\n" + lines)
        beside.replace(self.path)
