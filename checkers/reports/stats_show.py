"""Shows ``stats``: tables for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import streamsan
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.machine import as_json
from streamsan.checkers.reports.stats import Stats
from streamsan.checkers.reports.stats_advice import Advice

_LONGEST = 60
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def stats_json(found: Sequence[tuple[Stats, Sequence[Advice]]]) -> str:
    """Give the one object that goes to standard output; times are ns, sizes bytes."""
    traces = [
        {**asdict(stats), "advice": [asdict(advice) for advice in advices]}
        for stats, advices in found
    ]
    shape: dict[str, Any] = {
        "version": 1,
        "tool": {"name": "streamsan", "version": streamsan.__version__},
        "traces": traces,
    }
    return as_json(shape)


def stats_text(stats: Stats, advices: Sequence[Advice]) -> str:
    """Give the tables of one trace."""
    ops = ", ".join(f"{count} {word}" for word, count in stats.ops.items())
    lines = [f"{visible(stats.path)}: {stats.source or 'a trace'}", f"ops: {ops or 'none'}"]
    for part in (_streams(stats), _copies(stats), _syncs(stats), _devices(stats), _hosts(stats)):
        lines += ["", *part]
    lines += ["", *_advice(advices), "", *_missing(stats)]
    return "\n".join(lines) + "\n"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Give a table: numbers to the right, names to the left and never too long."""
    yield title
    if not rows:
        yield "  none"
        return
    cells = [[visible(str(cell), _LONGEST) for cell in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    words = [any(not column[:1].isdigit() and column != "-" for column in columns)
             for columns in zip(*cells, strict=True)]  # fmt: skip
    for row in (head, *cells):
        parts = [
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(row, wide, words, strict=True)
        ]
        yield "  " + "  ".join(parts).rstrip()


def _streams(stats: Stats) -> Iterator[str]:
    rows = [
        (f"stream {r.stream}", r.device, r.ops, r.kernels, r.copies, time_words(r.busy_ns))
        for r in stats.streams
    ]
    yield from table("Streams", ("", "device", "work", "kernels", "copies", "busy"), rows)


def _copies(stats: Stats) -> Iterator[str]:
    rows = [
        (r.kind, r.memory, r.call, r.count, size_words(r.bytes), time_words(r.link_ns),
         time_words(r.host_ns), f"{r.waited} of {r.measured}" if r.measured else "-")
        for r in stats.copies
    ]  # fmt: skip
    head = ("", "memory", "call", "count", "bytes", "on device", "in calls", "waited for")
    yield from table("Copies and fills", head, rows)


def _syncs(stats: Stats) -> Iterator[str]:
    rows = [
        (r.kind, r.count, r.unresolved, time_words(r.host_ns), time_words(r.longest_ns))
        for r in stats.syncs
    ]
    head = ("", "count", "unresolved", "in calls", "longest")
    yield from table("Synchronisation", head, rows)


def _devices(stats: Stats) -> Iterator[str]:
    rows = [
        (f"device {r.device}", time_words(r.span_ns), share(r.busy_ns, r.span_ns),
         time_words(r.compute_ns), time_words(r.transfer_ns), share(r.both_ns, r.transfer_ns),
         r.idle_gaps, time_words(r.longest_gap_ns))
        for r in stats.devices
    ]  # fmt: skip
    head = ("", "span", "busy", "compute", "transfers", "overlapped", "gaps", "longest")
    yield from table("Devices", head, rows)


def _hosts(stats: Stats) -> Iterator[str]:
    threads = [(f"host:{name}", time_words(ns)) for name, ns in stats.blocked_ns.items()]
    yield from table("Host blocked", ("", "time"), threads)
    rows = [
        (r.name, r.via or "", f"host:{r.thread}", r.count, time_words(r.host_ns), r.site or "")
        for r in stats.payers
    ]
    yield ""
    yield from table("Top payers", ("", "via", "thread", "count", "blocked", "site"), rows)


def _advice(advices: Sequence[Advice]) -> Iterator[str]:
    rows = [(a.rule, a.count, size_words(a.bytes), time_words(a.ns), a.what) for a in advices]
    yield from table("Advice", ("", "count", "bytes", "time", "what"), rows)
    for advice in advices:
        if advice.count:
            yield from (f"    {advice.rule}: {visible(each, 120)}" for each in advice.examples)


def _missing(stats: Stats) -> Iterator[str]:
    names = {"accesses": "reads and writes of device work", "host": "reads and writes of host code",
             "sync": "every synchronisation", "memory": "every allocation and free"}  # fmt: skip
    if not stats.missing and not stats.gaps:
        yield "Unknown: nothing, the trace says that it is complete"
        return
    yield "Unknown"
    yield from (f"  not in the trace: {names[fact]}" for fact in stats.missing)
    yield from (f"  {visible(reason, 200)} ({times})" for reason, times in stats.gaps)


def time_words(ns: int | None) -> str:
    """Give a time in words."""
    if ns is None:
        return "-"
    for unit, word in ((10**9, "s"), (10**6, "ms"), (10**3, "us")):
        if ns >= unit:
            return f"{ns / unit:.3f} {word}"
    return f"{ns} ns"


def size_words(size: int | None) -> str:
    """Give a size in words."""
    if size is None:
        return "-"
    for unit, word in _UNITS:
        if size >= unit:
            return f"{size / unit:.4g} {word}"
    return f"{size} B"


def share(part: int, whole: int) -> str:
    """Give a share in percent."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
