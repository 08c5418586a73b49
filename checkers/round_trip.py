"""Bytes go to the host and come back unchanged, while the device still has them.

What it does:
    Finds uploads of bytes that a download brought to the host, not modified there, whose source on
    the device is live and was not written since the download.

Why it is wrong:
    Two copies and a wait by the host stand where the device could have used what it had.

Bad:
    malloc h pinned 64
    s: launch sample w=token
    s: memcpy token -> h D2H
    s: record e
    sync e
    host_read h
    s: memcpy h -> input H2D
    s: launch forward r=input w=x

Good:
    malloc h pinned 64
    s: launch sample w=token
    s: memcpy token -> h D2H
    s: record e
    s: launch forward r=token w=x
    sync e
    host_read h

Fix:
    Give the device tensor to the next op, copied on the device where it must be elsewhere.

Limits:
    Offloading is none: there the device copy was freed, or used for something else, in between.
    Nothing is said of memory that host code may write unseen (`host_escape`), nor where accesses,
    host code or memory are not complete.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.returns import Pair, Returns
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace


def check(trace: Trace, returns: Returns, prices: Prices, evidence: Evidence) -> Iterator[Finding]:
    """Report bytes that go to the host and back for nothing."""
    complete = trace.header.complete
    if complete.accesses and complete.host and complete.memory:
        for pair in returns.there_and_back:
            yield _finding(pair, returns.spared(pair), prices, evidence)


def _finding(pair: Pair, spared: tuple[int, ...], prices: Prices, evidence: Evidence) -> Finding:
    down, up, placed = pair.first.op, pair.second.op, evidence.order.placed
    source, host = (
        evidence.buffer_name(int(placed.buffer[access]))
        for access in (pair.first.source, pair.first.target)
    )
    message = (
        f"{evidence.call(up)} uploads {host} as {evidence.call(down)} brought it from {source}, "
        "which is live and unchanged"
    )
    return evidence.make(
        *RULE.head, "round-trip", (down, up), message,
        f"use {source} on the device, or copy it there", buffer=host,
        details={"source": source, **prices.moved(up), **without(remove=list(spared))},
    )  # fmt: skip


RULE = Rule("SO503", "round-trip", "warning", ("accesses", "host", "memory"), check)
