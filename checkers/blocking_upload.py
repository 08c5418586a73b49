"""A blocking upload in a hot region makes the host wait for the stream.

What it does:
    Finds host-blocking uploads issued in a hot region while work that they must drain is in flight.

Why it is wrong:
    A plain `.to(device)`, `torch.tensor(list, device=...)` or cudaMemcpy returns only after the
    whole stream before it (R39): the host stalls for work that the upload does not need.

Bad:
    malloc p pageable 64
    s: launch forward w=x
    s: memcpy p -> a H2D sync

Good:
    malloc h pinned 64
    s: launch forward w=x
    s: memcpy h -> a H2D

Fix:
    Upload from pinned memory with non_blocking, or make the value on the device.

Limits:
    Nothing in flight, nothing said. The wait may move to the next synchronise: only its avoidable
    part is a gain. An asynchronous upload from pageable memory does not drain the stream: SO405.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.regions import HotRegions
from streamsan.checkers.facts.totals import without
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule


def check(
    blocking: Blocking, hot: HotRegions, prices: Prices, evidence: Evidence
) -> Iterator[Finding]:
    """Report blocking uploads in hot regions."""
    for copy in blocking.copies:
        if copy.kind == "H2D" and copy.waits and copy.last is not None and copy.op in hot:
            message = (
                f"{evidence.call(copy.op)} makes {evidence.trace[copy.op].thread} wait for "
                f"{evidence.line(copy.op)}, {evidence.call(copy.last)} included"
            )
            hint = "upload from pinned memory with non_blocking, or make the value on the device"
            yield evidence.make(
                *RULE.head, "blocking", (copy.last, copy.op), message, hint,
                buffer=evidence.buffer_name(copy.buffers[1]),
                details={
                    **prices.blocking_copy(copy),
                    **without(unblock=[copy.op], remove=[] if copy.pair is None else [copy.pair]),
                },
            )  # fmt: skip


RULE = Rule("SO401", "blocking-upload", "warning", ("sync",), check)
