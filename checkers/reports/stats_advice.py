"""Advice: the classes of transfer costs that profilers' expert rules report, counted.

The names of the first six are those of ``nsys analyze``, so that its users find them again; the
others are what further tools report (repeated and unused allocation, device-wide synchronisation,
low overlap). They are counts with thresholds, not findings: the rules of ``lint`` judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamsan.checkers.reports.stats import Counting
from streamsan.checkers.reports.stats_gaps import Gap, explained_gaps
from streamsan.checkers.reports.stats_ops import HOST_WAITS, OpFacts
from streamsan.checkers.reports.stats_time import common, covered
from streamsan.traces.ops import Kind

_EACH = 5
"""Examples that a row carries."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something counts.

    Args:
        gap_ns: a device idle for longer (nsys: 500 ms).
        chunks: pieces of a device's time whose utilisation is looked at (nsys: 30).
        utilisation: percent below which a piece is low (nsys: 50).
        small_upload: blocking uploads of at most so many bytes are left out (64 KiB).
        overlap: percent of transfer time beside compute below which overlap is low.
    """

    gap_ns: int = 500_000_000
    chunks: int = 30
    utilisation: int = 50
    small_upload: int = 65536
    overlap: int = 50


@dataclass(frozen=True, slots=True)
class Advice:
    """One class: how often, bytes and times where they are known, and some of it in words."""

    rule: str
    what: str
    count: int
    bytes: int | None = None
    ns: int | None = None
    examples: tuple[str, ...] = ()


def advise(counting: Counting, limits: Thresholds | None = None) -> list[Advice]:
    """Count every class; those that do not occur count 0."""
    limits = limits or Thresholds()
    return [
        _pageable(counting.facts),
        _blocking_copies(counting.facts, limits),
        _blocking_fills(counting.facts),
        _syncs(counting.facts),
        _gaps(explained_gaps(counting, limits.gap_ns)),
        _utilisation(counting, limits),
        _device_wide(counting.facts),
        _overlap(counting, limits),
        *_allocations(counting.facts),
    ]


def _copies(facts: OpFacts, kind: int = Kind.MEMCPY) -> list[int]:
    found: list[int] = np.flatnonzero(facts.trace.kind == kind).tolist()
    return found


def _advice(facts: OpFacts, rule: str, what: str, ops: list[int]) -> Advice:
    sizes = [size for op in ops if (size := facts.size(op)) is not None]
    spans = [span for op in ops if (span := facts.host_span(op)) is not None]
    names = Counter(facts.trace[op].name for op in ops)
    examples = tuple(f"{name} ({count})" for name, count in names.most_common(_EACH))
    return Advice(
        rule, what, len(ops), sum(sizes) if sizes else None, sum(spans) if spans else None, examples
    )


def _pageable(facts: OpFacts) -> Advice:
    ops = [
        op for op in _copies(facts)
        if facts.trace[op].bit("async_") is not False and "pageable" in facts.spaces(op)
        and facts.is_called(op)
    ]  # fmt: skip
    return _advice(facts, "cuda_memcpy_async", "asynchronous copies with pageable memory", ops)


def _blocking_copies(facts: OpFacts, limits: Thresholds) -> Advice:
    ops = []
    for op in _copies(facts):
        direction, size = facts.direction(op), facts.size(op)
        small = direction == "H2D" and size is not None and size <= limits.small_upload
        if facts.trace[op].bit("async_") is False and not small and direction not in ("D2D", "P2P"):
            ops.append(op)
    what = f"blocking copies (uploads of at most {limits.small_upload} bytes are left out)"
    return _advice(facts, "cuda_memcpy_sync", what, ops)


def _blocking_fills(facts: OpFacts) -> Advice:
    fills = _copies(facts, Kind.MEMSET)
    ops = [op for op in fills if facts.trace[op].bit("async_") is False]
    return _advice(facts, "cuda_memset_sync", "blocking fills", ops)


def _syncs(facts: OpFacts) -> Advice:
    marks = (*HOST_WAITS, Kind.MARK)
    host = set(HOST_WAITS.values())
    ops, words = [], Counter[str]()
    for op in np.flatnonzero(np.isin(facts.trace.kind, marks)).tolist():
        word = facts.wait_word(facts.trace[op])
        if word in host:
            ops.append(op)
            words[word or ""] += 1
    spans = [span for op in ops if (span := facts.host_span(op)) is not None]
    examples = tuple(f"{word} ({count})" for word, count in words.most_common())
    ns = sum(spans) if spans else None
    return Advice("cuda_api_sync", "calls in which the host waits", len(ops), None, ns, examples)


def _gaps(found: list[Gap]) -> Advice:
    longest = sorted(found, key=lambda gap: gap.begin - gap.end)[:_EACH]
    examples = tuple(
        f"device {gap.device}: {(gap.end - gap.begin) / 1e6:.3f} ms, {gap.cause}" for gap in longest
    )
    total = sum(gap.end - gap.begin for gap in found)
    return Advice("gpu_gaps", "times in which a device was idle", len(found), None, total, examples)


def _utilisation(counting: Counting, limits: Thresholds) -> Advice:
    low: list[str] = []
    idle = 0
    for device in counting.devices:
        busy = counting.busy(device)
        if not len(busy.begin):
            continue
        start, span = int(busy.begin[0]), int(busy.end[-1] - busy.begin[0])
        edges = [start + span * i // limits.chunks for i in range(limits.chunks + 1)]
        for i, (begin, end) in enumerate(pairwise(edges)):
            used = covered(busy, begin, end)
            if end > begin and used * 100 < limits.utilisation * (end - begin):
                idle += end - begin - used
                share = 100 * used / (end - begin)
                low.append(f"device {device}, piece {i + 1}: {share:.1f} %")
    what = f"pieces of 1/{limits.chunks} of a device's time used less than {limits.utilisation} %"
    return Advice("gpu_time_util", what, len(low), None, idle, tuple(low[:_EACH]))


def _device_wide(facts: OpFacts) -> Advice:
    ops = [
        op
        for op in np.flatnonzero(
            np.isin(facts.trace.kind, (Kind.DEVICE_SYNCHRONIZE, Kind.MARK))
        ).tolist()
        if facts.wait_word(facts.trace[op]) == "device_synchronize"
    ]
    what = "waits for a whole device, where an event would do"
    return _advice(facts, "device_wide_sync", what, ops)


def _overlap(counting: Counting, limits: Thresholds) -> Advice:
    low: list[str] = []
    alone = 0
    for device in counting.devices:
        copy = counting.transfers(device)
        both = common(copy, counting.compute(device))
        if both * 100 < limits.overlap * copy.total:
            low.append(f"device {device}: {100 * both / copy.total:.1f} % of its transfer time")
            alone += copy.total - both
    what = f"devices with less than {limits.overlap} % of their transfer time beside compute"
    return Advice("low_overlap", what, len(low), None, alone, tuple(low))


def _allocations(facts: OpFacts) -> list[Advice]:
    """Count blocks allocated again in the same size and space, and blocks that nothing touches."""
    trace, buffers = facts.trace, facts.trace.buffers
    real = [b for b in range(len(buffers)) if buffers.malloc[b] >= 0 and buffers.size[b] > 0]
    # Device-wide costs only: blocks of caching allocators cost next to nothing to get again.
    plain = [b for b in real if buffers.allocator[b] == "plain"]
    shapes = Counter((buffers.space[b], int(buffers.size[b])) for b in plain)
    again = {shape: count - 1 for shape, count in shapes.items() if count > 1}
    examples = tuple(
        f"{space} {size} bytes ({count + 1})" for (space, size), count in again.items()
    )
    size = sum(shape[1] * count for shape, count in again.items())
    touched = set(buffers.of_access.tolist())
    unused = [b for b in real if b not in touched] if trace.header.complete.accesses else []
    names = tuple(trace.names[int(buffers.name[b])] for b in unused[:_EACH])
    lost = sum(int(buffers.size[b]) for b in unused)
    repeated = "allocations of a size and memory that was allocated before"
    return [
        Advice("repeated_allocation", repeated, sum(again.values()), size, None, examples[:_EACH]),
        Advice("unused_allocation", "allocations that nothing touches", len(unused), lost, None,
               names),
    ]  # fmt: skip
