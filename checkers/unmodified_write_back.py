"""The device writes back to the host what it was given, unmodified.

What it does:
    Finds downloads to the host bytes that the device's bytes were loaded from, where neither the
    device nor the host has written them in between.

Why it is wrong:
    The host has these bytes already: the copy changes nothing and takes the link, as a rule of
    whole weights.

Bad:
    malloc weights pinned 64
    s: memcpy weights -> a H2D
    s: launch layer r=a w=x
    s: memcpy a -> weights D2H

Good:
    malloc weights pinned 64
    s: memcpy weights -> a H2D
    s: launch layer r=a w=x
    s: launch layer r=x w=y

Fix:
    Drop the device copy: the host's is still good.

Limits:
    A host copy elsewhere than where the bytes came from is not compared. Nothing is said of memory
    that host code may write unseen (`host_escape`), nor where the accesses of host code or of
    device work are not complete: a write in between may be missing.
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
    """Report downloads of what the host holds."""
    if trace.header.complete.accesses and trace.header.complete.host:
        for pair in returns.back_unmodified:
            yield _finding(pair, prices, evidence)


def _finding(pair: Pair, prices: Prices, evidence: Evidence) -> Finding:
    up, down = pair.first.op, pair.second.op
    host = evidence.buffer_name(int(evidence.order.placed.buffer[pair.second.target]))
    message = (
        f"{evidence.call(down)} brings back to {host} what {evidence.call(up)} took from there: "
        "neither side has written it since"
    )
    return evidence.make(
        *RULE.head, "write-back", (down,), message,
        "drop the device copy: the host's is still good", buffer=host,
        details={"loaded_by": up, **prices.moved(down), **without(remove=[down])},
        fix={"remove": down},
    )  # fmt: skip


RULE = Rule("SO504", "unmodified-write-back", "warning", ("accesses", "host"), check)
