"""A download that nobody reads.

What it does:
    Finds copies to the host whose bytes no host code, copy, kernel or graph reads before they are
    overwritten or freed, or before the program has waited for them and gone on to its end. Also
    copies of which less than a quarter is read, with the part that is dead.

Why it is wrong:
    The bytes take the link, and the stream is kept from its next work until they are over.

Bad:
    malloc h pinned 1024
    malloc ids pinned 4
    s: launch step w=hidden,token
    s: memcpy hidden -> h D2H
    s: memcpy token -> ids D2H
    s: record e
    sync e
    host_read ids
    s: launch step w=hidden,token

Good:
    malloc ids pinned 4
    s: launch step w=hidden,token
    s: memcpy token -> ids D2H
    s: record e
    sync e
    host_read ids
    s: launch step w=hidden,token

Fix:
    Leave the copy out, or copy only what is read.

Limits:
    A download that the host has not waited for when the trace ends is not judged: a pipelined
    program reads it later. Memory that host code may touch unseen (`host_escape`) is not judged,
    and no trace on which the reads of host code, or of device work, are not complete. `item`,
    `tolist` and the like read their value themselves. Unread parts below 4096 bytes cost nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from streamsan.checkers.facts.downloads import Dead, Downloads
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace

MOST_PARTS = 16
"""Dead parts of one copy that are listed."""


def check(
    trace: Trace, downloads: Downloads, prices: Prices, evidence: Evidence
) -> Iterator[Finding]:
    """Report downloads of bytes that are not read."""
    if not (trace.header.complete.accesses and trace.header.complete.host):
        return
    wasted: Counter[object] = Counter()
    for dead in downloads.dead:
        wasted[evidence.site_key((dead.move.op,))] += dead.dead or 0
    for dead in downloads.dead:
        total = wasted[evidence.site_key((dead.move.op,))]
        yield _finding(dead, prices.per_second(total) if total else {}, prices, evidence)


def _finding(dead: Dead, rate: dict[str, Any], prices: Prices, evidence: Evidence) -> Finding:
    op, placed = dead.move.op, evidence.order.placed
    target = evidence.buffer_name(int(placed.buffer[dead.move.target]))
    ends = {
        "overwritten": f"before {evidence.call(dead.by)} overwrites it",
        "freed": f"before {evidence.call(dead.by)} frees it",
        "left": f"although {evidence.trace[op].thread} waits for it and goes on",
    }
    part = f"{dead.dead} of {dead.size} bytes" if dead.parts else "what"
    message = f"nothing reads {part} {evidence.call(op)} brings to {target}, {ends[dead.end]}"
    if dead.parts:
        message = f"nothing reads {part} that {evidence.call(op)} brings to {target}"
    details = {"end": dead.end, "by": dead.by, **prices.moved(op), **rate}
    if dead.dead is not None:
        details["dead_bytes"] = dead.dead
    if dead.parts and dead.dead is not None and dead.size:
        details["dead"] = dead.parts[:MOST_PARTS]
        details |= without(shrink=[[op, (dead.size - dead.dead) / dead.size]])
    else:
        details |= without(remove=[op])
    return evidence.make(
        *RULE.head, "dead-copy", (op,), message,
        "copy only what is read" if dead.parts else "leave the copy out",
        buffer=target, details=details, fix=None if dead.parts else {"remove": op},
    )  # fmt: skip


RULE = Rule("SO501", "dead-copy", "warning", ("accesses", "host"), check)
