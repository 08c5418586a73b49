"""A download that looks like reading a value makes the host wait for the stream.

What it does:
    Finds host-blocking downloads (`item`, `tolist`, `cpu`, `nonzero`, a mask index, ...) in a hot
    region while work is in flight.

Why it is wrong:
    Each is a copy and a synchronise of the current stream (R41): the host waits for everything
    before it, not only for the value.

Bad:
    malloc p pageable 64
    s: launch forward w=x
    s: memcpy x -> p D2H sync via=item

Good:
    malloc h pinned 64
    s: launch forward w=x
    s: memcpy x -> h D2H via=to
    s: record e
    sync e
    host_read h

Fix:
    Use a value that the host already knows, `torch.where`, `output_size=`; or download without
    blocking and wait for an event when the value is needed.

Limits:
    Deliberate ones belong outside the hot regions. Where the wait is also one for inherited work
    that the value does not need, SO403 alone tells it.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.chains import Chains
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.regions import HotRegions
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace


def check(
    *,
    trace: Trace,
    blocking: Blocking,
    chains: Chains,
    hot: HotRegions,
    prices: Prices,
    evidence: Evidence,
) -> Iterator[Finding]:
    """Report blocking downloads in hot regions."""
    told = chains.waits if trace.header.complete.accesses else set()
    for copy in blocking.copies:
        if copy.op in told:
            continue
        if copy.kind == "D2H" and copy.waits and copy.first is not None and copy.op in hot:
            via = evidence.trace[copy.op].via
            what = f" ({via})" if via else ""
            message = (
                f"{evidence.call(copy.op)}{what} makes {evidence.trace[copy.op].thread} wait for "
                f"{evidence.line(copy.op)}, from {evidence.call(copy.first)} on"
            )
            hint = "use a value the host already knows, or download without blocking"
            yield evidence.make(
                *RULE.head, "blocking", (copy.first, copy.op), message, hint,
                details={
                    **prices.blocking_copy(copy),
                    **without(remove=[op for op in (copy.op, copy.pair) if op is not None]),
                },
            )  # fmt: skip


RULE = Rule("SO402", "hidden-sync", "warning", ("sync",), check)
