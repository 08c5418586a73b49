"""Two ranks reach their collectives in different orders, with a host wait in between.

What it does:
    Finds cycles through collectives and host waits: rank A waits on the host for a collective that
    rank B reaches only after waiting for one that A reaches later.

Why it is wrong:
    A collective starts on no rank before every rank has reached it (R51). With a host wait in
    between no rank gets to the collective that the other one waits for.

Bad:
    r0/p: collective g ranks=r0,r1 seq=1 rank=r0
    r0: stream_sync p
    r0/p2: collective k ranks=r0,r1 seq=1 rank=r0
    r1/q2: collective k ranks=r0,r1 seq=1 rank=r1
    r1: stream_sync q2
    r1/q: collective g ranks=r0,r1 seq=1 rank=r1

Good:
    r0/p: collective g ranks=r0,r1 seq=1 rank=r0
    r0: stream_sync p
    r0/p2: collective k ranks=r0,r1 seq=1 rank=r0
    r1/q: collective g ranks=r0,r1 seq=1 rank=r1
    r1: stream_sync q
    r1/q2: collective k ranks=r0,r1 seq=1 rank=r1

Fix:
    The same order on every rank, and no host wait between collectives.

Limits:
    Only ranks in the trace are judged; the others are taken to arrive in time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamsan.checkers.facts.cycles import Cycle
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.ops import Kind


def check(cycles: list[Cycle], trace: Trace, evidence: Evidence) -> Iterator[Finding]:
    """Report ranks that wait for each other's collectives."""
    for cycle in cycles:
        waits = cycle.host_waits
        if not cycle.has_collective or not waits:
            continue
        message = (
            f"{evidence.call(waits[0])} and {evidence.call(waits[-1])} wait for collectives that "
            "the ranks reach in different orders"
        )
        ops = (waits[0], waits[-1]) if len(waits) > 1 else (waits[0],)
        yield evidence.make(
            *RULE.head, "deadlock", ops, message,
            "issue the collectives in the same order on every rank",
            details={"ranks": _table(trace)},
        )  # fmt: skip


def _table(trace: Trace) -> dict[str, list[str]]:
    """Give each rank's collectives in issue order, as ``group:seq``."""
    found: dict[str, list[str]] = {}
    for op in np.flatnonzero(trace.kind == Kind.COLLECTIVE)[:200].tolist():
        view = trace[op]
        rank = str(view.extras.get("rank", trace.header.rank))
        found.setdefault(rank, []).append(f"{view.obj}:{view.number}")
    return found


RULE = Rule("SO603", "rank-divergent-collectives", "error", ("sync",), check)
