"""An upload of what the device holds already.

What it does:
    Finds uploads whose destination was last written, in whole, by an upload of the same bytes: the
    digests are the same, or both take the same source, which was not written in between.

Why it is wrong:
    The copy changes nothing. From pageable memory it also costs host time, and a blocking one
    drains the stream.

Bad:
    malloc h pinned 64
    host_write h
    s: memcpy h -> a H2D
    s: launch step r=a w=x
    s: memcpy h -> a H2D
    s: launch step r=a w=x

Good:
    malloc h pinned 64
    host_write h
    s: memcpy h -> a H2D
    s: launch step r=a w=x
    s: launch step r=a w=x

Fix:
    Keep the device copy and key it by the value.

Limits:
    Without digests only the same source, unwritten, shows equal bytes; not where host code may
    write it unseen (`host_escape`). Nothing is said where the accesses of host code or of device
    work are not complete: a write in between may be missing.
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
    """Report uploads that change nothing."""
    if trace.header.complete.accesses and trace.header.complete.host:
        for pair in returns.again:
            yield _finding(pair, prices, evidence)


def _finding(pair: Pair, prices: Prices, evidence: Evidence) -> Finding:
    first, second = pair.first.op, pair.second.op
    buffer = evidence.buffer_name(int(evidence.order.placed.buffer[pair.second.target]))
    shows = "the digests are the same" if pair.how == "digest" else "the source has not changed"
    message = (
        f"{evidence.call(second)} uploads to {buffer} what {evidence.call(first)} has brought "
        f"there: {shows}, and nothing has written it since"
    )
    return evidence.make(
        *RULE.head, "redundant-copy", (first, second), message,
        "keep the device copy, and upload again only when the value changes", buffer=buffer,
        details={"shown_by": pair.how, **prices.moved(second), **without(remove=[second])},
        fix={"remove": second},
    )  # fmt: skip


RULE = Rule("SO502", "redundant-upload", "warning", ("accesses", "host"), check)
