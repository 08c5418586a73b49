"""``streamsan stats``: what one trace did and what it cost, as one table of values.

Nothing here is a verdict: times and counts only. What the trace cannot show is listed with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from streamsan.checkers.reports.stats_ops import HOST_WAITS, MAY_WAIT, OpFacts
from streamsan.checkers.reports.stats_time import Spans, common, gaps, union
from streamsan.traces import Trace
from streamsan.traces.ops import WORDS, Kind

TOP = 10
_COMPUTE = (Kind.LAUNCH, Kind.GRAPH_LAUNCH, Kind.COLLECTIVE)
TRANSFERS = ("H2D", "D2H", "P2P")
"""Copies that cross a link: those within a device are its own work."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream: its device work, and for how long it was busy (ns)."""

    stream: str
    device: int
    ops: int
    kernels: int
    copies: int
    busy_ns: int | None


@dataclass(frozen=True, slots=True)
class CopyRow:
    """Copies or fills of one kind, direction and host memory.

    ``bytes`` is None where none is known. ``link_ns``: time on the device; ``host_ns``: time in
    their calls; ``waited`` counts the calls that returned only after the device was done, of the
    ``measured`` whose times are known.
    """

    kind: str
    memory: str
    call: str
    count: int
    bytes: int | None
    link_ns: int | None
    host_ns: int | None
    waited: int
    measured: int


@dataclass(frozen=True, slots=True)
class SyncRow:
    """Synchronisations of one kind; ``unresolved`` of them do not say for what they wait."""

    kind: str
    count: int
    unresolved: int
    host_ns: int | None
    longest_ns: int | None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device, from its first work to its last.

    ``transfer_ns``: copies from and to the host and other devices; ``both_ns``: beside compute.
    """

    device: int
    span_ns: int
    busy_ns: int
    compute_ns: int
    transfer_ns: int
    both_ns: int
    idle_gaps: int
    longest_gap_ns: int


@dataclass(frozen=True, slots=True)
class PayerRow:
    """Where host threads waited: a call by its name and what the program wrote."""

    name: str
    via: str | None
    thread: str
    site: str | None
    count: int
    host_ns: int | None


@dataclass(frozen=True, slots=True)
class Stats:
    """All of it; ``blocked_ns`` is by host thread, as far as times are known."""

    path: str
    source: str | None
    ops: dict[str, int]
    streams: tuple[StreamRow, ...]
    copies: tuple[CopyRow, ...]
    syncs: tuple[SyncRow, ...]
    devices: tuple[DeviceRow, ...]
    blocked_ns: dict[str, int]
    payers: tuple[PayerRow, ...]
    missing: tuple[str, ...]
    gaps: tuple[tuple[str, int], ...]


class Counting:
    """Counts one trace."""

    def __init__(self, trace: Trace) -> None:
        """Keep the trace."""
        self.trace = trace
        self.facts = OpFacts(trace)

    def stats(self) -> Stats:
        """Give the whole."""
        trace, complete = self.trace, self.trace.header.complete
        facts = ("accesses", "host", "sync", "memory")
        counts = Counter(trace.kind.tolist())
        return Stats(
            trace.path,
            trace.header.source,
            {WORDS[kind]: count for kind, count in counts.most_common()},
            tuple(self._streams()),
            tuple(self._copies()),
            tuple(self._syncs()),
            tuple(self._devices()),
            self._blocked(),
            tuple(self._top_payers()),
            tuple(fact for fact in facts if not getattr(complete, fact)),
            tuple((gap.reason, gap.times) for gap in trace.gaps),
        )

    def busy(self, device: int) -> Spans:
        """Give when a device did anything."""
        return self._union(device, self.facts.timed)

    def compute(self, device: int) -> Spans:
        """Give when a device ran kernels."""
        at = self.facts.timed
        return self._union(device, at[np.isin(self.trace.kind[at], _COMPUTE)])

    def transfers(self, device: int) -> Spans:
        """Give when bytes crossed a link of a device."""
        return self._union(device, self._transfers)

    def _union(self, device: int, ops: NDArray[np.intp]) -> Spans:
        mine = ops[self.trace.device[ops] == device]
        return union(self.trace.begin[mine], self.trace.end[mine])

    @cached_property
    def _transfers(self) -> NDArray[np.intp]:
        at = self.facts.timed
        copies = at[self.trace.kind[at] == Kind.MEMCPY].tolist()
        found = [op for op in copies if self.facts.direction(op) in TRANSFERS]
        return np.array(found, dtype=np.intp)

    @cached_property
    def devices(self) -> list[int]:
        """The devices that did work at known times."""
        return sorted(set(self.trace.device[self.facts.timed].tolist()))

    def _streams(self) -> Iterable[StreamRow]:
        trace, streams = self.trace, self.trace.streams
        at, of_op = self.facts.timed, streams.of_op
        for number, label in enumerate(streams.label):
            kinds = Counter(trace.kind[of_op == number].tolist())
            kernels = kinds[Kind.LAUNCH] + kinds[Kind.COLLECTIVE]
            work = kernels + kinds[Kind.MEMCPY] + kinds[Kind.MEMSET] + kinds[Kind.GRAPH_LAUNCH]
            if not work:
                continue
            mine = at[of_op[at] == number]
            busy = union(trace.begin[mine], trace.end[mine]).total if len(mine) else None
            yield StreamRow(label, streams.device[number], work, kernels, kinds[Kind.MEMCPY], busy)

    def _copies(self) -> list[CopyRow]:
        groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for op in np.flatnonzero(np.isin(self.trace.kind, (Kind.MEMCPY, Kind.MEMSET))).tolist():
            call = "sync" if self.trace[op].bit("async_") is False else "async"
            groups[(*self._what(op), call)].append(op)
        rows = [self._copy_row(*key, ops) for key, ops in groups.items()]
        return sorted(rows, key=lambda row: (-(row.bytes or 0), row.kind, row.memory))

    @cached_property
    def _timed(self) -> set[int]:
        return set(self.facts.timed.tolist())

    def _what(self, op: int) -> tuple[str, str]:
        """Give the direction, and the memory at the host's end: pinned, pageable, managed."""
        if self.trace.kind[op] == Kind.MEMSET:
            access = int(self.trace.access_start[op])
            return "memset", self.trace.buffers.space[int(self.trace.buffers.of_access[access])]
        direction, spaces = self.facts.direction(op), self.facts.spaces(op)
        ends = {"H2D": spaces[0], "D2H": spaces[1]}
        told = " to ".join(spaces) if direction == "H2H" else "device"
        return direction, ends.get(direction, told)

    def _copy_row(self, kind: str, memory: str, call: str, ops: Sequence[int]) -> CopyRow:
        trace, facts, timed = self.trace, self.facts, self._timed
        link = [int(trace.end[op] - trace.begin[op]) for op in ops if op in timed]
        both = [op for op in ops if op in timed and facts.host_span(op) is not None]
        return CopyRow(
            kind, memory, call, len(ops), _sum(facts.size(op) for op in ops),
            sum(link) if link else None, _sum(facts.host_span(op) for op in ops),
            sum(bool(trace.t_end[op] >= trace.end[op]) for op in both), len(both),
        )  # fmt: skip

    def _syncs(self) -> Iterable[SyncRow]:
        groups: dict[str, list[int]] = defaultdict(list)
        for op, word in self._waits:
            groups[word].append(op)
        for word, ops in sorted(groups.items(), key=lambda item: -len(item[1])):
            spans = [span for op in ops if (span := self.facts.host_span(op)) is not None]
            unresolved = sum(self.trace.kind[op] == Kind.MARK for op in ops)
            yield SyncRow(
                word, len(ops), int(unresolved), sum(spans) if spans else None,
                max(spans, default=None),
            )  # fmt: skip

    @cached_property
    def _waits(self) -> list[tuple[int, str]]:
        kinds = (*HOST_WAITS, Kind.STREAM_WAIT_EVENT, Kind.MARK)
        found = []
        for op in np.flatnonzero(np.isin(self.trace.kind, kinds)).tolist():
            word = self.facts.wait_word(self.trace[op])
            if word is not None:
                found.append((op, word))
        return found

    def _devices(self) -> Iterable[DeviceRow]:
        for device in self.devices:
            busy, copy = self.busy(device), self.transfers(device)
            compute = self.compute(device)
            if not len(busy.begin):
                continue
            idle = gaps(busy, 0)
            longest = int((idle.end - idle.begin).max()) if len(idle.begin) else 0
            yield DeviceRow(
                device, int(busy.end[-1] - busy.begin[0]), busy.total, compute.total,
                copy.total, common(copy, compute), len(idle.begin), longest,
            )  # fmt: skip

    @cached_property
    def blocking(self) -> list[int]:
        """The ops in whose calls the host waits, as far as the trace says."""
        host = {*HOST_WAITS.values(), MAY_WAIT}
        found = [op for op, word in self._waits if word in host]
        copies = np.flatnonzero(self.trace.kind == Kind.MEMCPY).tolist()
        return sorted([*found, *(op for op in copies if self.facts.copy_waits(op))])

    def _blocked(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for op in self.blocking:
            span = self.facts.host_span(op)
            if span is not None:
                found[self.trace[op].thread] += span
        return dict(found.most_common())

    def _top_payers(self) -> list[PayerRow]:
        groups: dict[tuple[str, str | None, str, str | None], list[int | None]] = defaultdict(list)
        for op in self.blocking:
            view = self.trace[op]
            site = view.stack[0] if view.stack else None
            groups[view.name, view.via, view.thread, site].append(self.facts.host_span(op))
        rows = [PayerRow(*key, len(spans), _sum(spans)) for key, spans in groups.items()]
        return sorted(rows, key=lambda row: -(row.host_ns or 0))[:TOP]


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
