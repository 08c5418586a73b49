"""A wait covers more than anything after it needs.

What it does:
    Finds synchronises and stream waits that order ops before later work although nothing after the
    wait conflicts with them: the ops after the last needed one of each stream. Names the narrowest
    point at which an event would do. Info: a wait for what its waiter is after already.
    On a trace without the accesses of device work (a profile) only device-wide synchronises that
    drain work of several streams are told: info, `possible`.

Why it is wrong:
    The waiter stands still until the last op is done (R6 to R10), and all that is issued after it
    with it. A fix of a race is often such a wait.

Bad:
    s1: launch produce w=a
    s1: launch other w=b
    s1: record e
    s2: wait e
    s2: launch use r=a

Good:
    s1: launch produce w=a
    s1: record e
    s1: launch other w=b
    s2: wait e
    s2: launch use r=a

Fix:
    Record the event right after the last op that is needed and wait for that; let the stream that
    needs it wait instead of the host; or leave the wait out where nothing needs it.

Limits:
    Each wait is judged by itself: of two waits that do the same either one can go, not both. A
    wait that guards a memory both sides use, though not the same bytes in this run, is left alone.
    A way round a wait is looked for along 400 edges; where that is not enough the wait counts as
    needed. Programs that hang, waits on the legacy default stream and waits after which the waiter
    does nothing are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.prices import Prices
from streamsan.checkers.facts.regions import HotRegions
from streamsan.checkers.facts.totals import without
from streamsan.checkers.facts.waste import Waste, Wastes
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.checkers.settings import Settings
from streamsan.traces import Trace
from streamsan.traces.ops import Kind

SEVERAL = 2
"""Streams with work in flight from which a device-wide wait is wider than a stream's."""


def check(
    *,
    trace: Trace,
    wastes: Wastes,
    blocking: Blocking,
    hot: HotRegions,
    prices: Prices,
    settings: Settings,
    evidence: Evidence,
) -> Iterator[Finding]:
    """Report waits that could be narrower; without accesses, device-wide ones."""
    if not trace.header.complete.accesses:
        yield from _device_wide(trace, blocking, hot, prices, evidence)
        return
    told = [w for w in wastes.found if not settings.hot_regions or w.wait in hot]
    for waste in sorted(told, key=lambda w: w.implied):  # of repeats the first stands for all
        yield (_implied if waste.implied else _wide)(waste, prices, evidence)


def _wide(waste: Waste, prices: Prices, evidence: Evidence) -> Finding:
    count = sum(share.ops for share in waste.shares)
    fix = _fix(waste, evidence)
    is_stream = evidence.trace.kind[waste.wait] == Kind.STREAM_WAIT_EVENT
    price = prices.stream_wait if is_stream else prices.host_wait
    needed = [{"op": op, "stream": evidence.line(op)} for op in waste.needed]
    message = (
        f"{evidence.call(waste.wait)} makes {_waiter(waste.wait, evidence)} wait for {count} "
        f"{'op' if count == 1 else 'ops'} that nothing after it needs, "
        f"{evidence.call(waste.last)} the last"
    )
    return evidence.make(
        *RULE.head, "oversync", (waste.last, waste.wait), message, _hint(waste, fix, evidence),
        fix=fix,
        details={
            "not_needed": [share._asdict() for share in waste.shares],
            "record_after": needed,
            **price(waste.wait, waste.needed),
            **prices.iteration(waste.wait),
            **_change(waste),
        },
    )  # fmt: skip


def _implied(waste: Waste, prices: Prices, evidence: Evidence) -> Finding:
    message = (
        f"{evidence.call(waste.wait)} orders nothing new: {_waiter(waste.wait, evidence)} is after "
        f"{evidence.call(waste.last)} already"
    )
    return evidence.make(
        RULE.code, RULE.name, "info", "oversync", (waste.last, waste.wait), message,
        "leave the wait out", fix={"remove": waste.wait},
        details={**prices.iteration(waste.wait), **_change(waste)},
    )  # fmt: skip


def _change(waste: Waste) -> dict[str, Any]:
    """Say what a replay narrows: where one stream needs the wait, that one waits for itself."""
    if not waste.needed:
        return without(remove=[waste.wait])
    needed = list(waste.needed)
    if waste.user is None:
        return without(narrow=[[waste.wait, needed]])
    return without(unblock=[waste.wait], hold=[[waste.user, needed]])


def _waiter(wait: int, evidence: Evidence) -> str:
    view = evidence.trace[wait]
    is_stream = view.kind == Kind.STREAM_WAIT_EVENT
    return evidence.line(wait) if is_stream else view.thread


def _fix(waste: Waste, evidence: Evidence) -> dict[str, Any] | None:
    """Give the one edge that does what is needed of a wait: it takes the wait's place."""
    if not waste.needed:
        return {"remove": waste.wait}
    if len(waste.needed) > 1:
        return None
    after = next(iter(waste.needed))
    op_node = evidence.order.graph.op_node
    before = waste.wait if waste.user is None else waste.user
    return evidence.edge(after, int(op_node[after]), before, int(op_node[before]))


def _hint(waste: Waste, fix: dict[str, Any] | None, evidence: Evidence) -> str:
    if not waste.needed:
        return "nothing after it needs it: leave it out"
    points = ", ".join(f"op {op} on {evidence.line(op)}" for op in waste.needed)
    several = f"wait for events recorded right after {points} instead"
    return f"{evidence.fix_words(fix, several)}, in place of op {waste.wait}"


def _device_wide(
    trace: Trace, blocking: Blocking, hot: HotRegions, prices: Prices, evidence: Evidence
) -> Iterator[Finding]:
    """Report device-wide synchronises of profiles: what of them is needed is not known."""
    for op in np.flatnonzero(trace.kind == Kind.DEVICE_SYNCHRONIZE).tolist():
        drained = blocking.drained_by_host(op) if op in hot else []
        if len(drained) < SEVERAL:
            continue
        message = (
            f"{evidence.call(op)} waits for all of device {trace[op].device}: work of "
            f"{len(drained)} streams is in flight"
        )
        yield evidence.make(
            RULE.code, RULE.name, "info", "oversync", (max(d.last for d in drained), op), message,
            "wait for an event recorded after the work whose result is used",
            confidence="possible",
            details={
                "streams": len(drained), **prices.host_wait(op, None), **prices.iteration(op),
            },
        )  # fmt: skip


RULE = Rule("SO404", "over-synchronisation", "warning", ("accesses", "sync"), check)
