"""A device-wide synchronise where something narrower would do.

What it does:
    On a trace that does not hold the accesses of device work (a profile), finds device-wide
    synchronises in a hot region that drain work of at least two streams. Confidence `possible`:
    whether all of it is needed cannot be told without accesses.

Why it is wrong:
    The host waits for every stream of the device (R10), also for those whose results it does not
    use, and issues nothing meanwhile.

Bad:
    #! complete accesses=false
    s1: launch forward
    s2: launch prefetch
    device_sync 0

Good:
    #! complete accesses=false
    s1: launch forward
    s2: launch prefetch
    s1: record e
    sync e

Fix:
    Wait for an event recorded after the work whose result is used.

Limits:
    On traces that hold the accesses nothing is judged yet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.regions import HotRegions
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind

SEVERAL = 2
"""Streams with work in flight from which a device-wide wait is wider than a stream's."""


def check(
    trace: Trace, blocking: Blocking, hot: HotRegions, evidence: Evidence
) -> Iterator[Finding]:
    """Report device-wide synchronises of profiles."""
    if trace.header.complete.accesses:
        return
    for op in np.flatnonzero(trace.kind == Kind.DEVICE_SYNCHRONIZE).tolist():
        drained = blocking.drained_by_host(op)
        if op not in hot or len(drained) < SEVERAL:
            continue
        last = max(drained)
        message = (
            f"{evidence.call(op)} waits for all of device {trace[op].device}: work of "
            f"{len(drained)} streams is in flight"
        )
        yield evidence.make(
            RULE.code, RULE.name, "info", "oversync", (last, op), message,
            "wait for an event recorded after the work whose result is used",
            confidence="possible", details={"streams": len(drained)},
        )  # fmt: skip


RULE = Rule("SO404", "over-synchronisation", "warning", ("accesses", "sync"), check)
