"""The file is whole, but facts that a verdict needs are not in it.

What it does:
    One finding for each kind of gap, with a count: waits whose record cannot be resolved, work
    launched before the window, ops on memory that was allocated before it, waits on values that
    nothing writes.

Why it is wrong:
    Nothing is wrong with the program. But a rule that needs the fact cannot say `clean`.

Bad:
    #! complete sync=false
    s: wait e

Good:
    s0: record e
    s: wait e

Fix:
    Record with synchronisation events on, from the start of the program.

Limits:
    Gaps that the recorder itself does not know of cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from streamsan.checkers.facts.events import Waits
from streamsan.checkers.facts.evidence import Evidence
from streamsan.checkers.facts.liveness import dead_uses
from streamsan.checkers.finding import Finding
from streamsan.checkers.rule import Rule
from streamsan.traces import Trace
from streamsan.traces.model import Gap


def check(trace: Trace, waits: Waits, evidence: Evidence) -> Iterator[Finding]:
    """Report kinds of gaps."""
    for gap in (*trace.gaps, *_seen(trace, waits)):
        ops = () if gap.op is None else (gap.op,)
        finding = evidence.make(
            *RULE.head, "facts-missing", ops, f"{gap.reason} ({gap.times})",
            "record with every synchronisation, from the start",
            details={"times": gap.times},
        )  # fmt: skip
        yield finding


def _seen(trace: Trace, waits: Waits) -> Iterator[Gap]:
    """Give the gaps that show in the ops themselves."""
    if not trace.header.complete.sync and waits.unrecorded:
        reason = "waits for events whose record is not in the trace"
        yield Gap(reason, len(waits.unrecorded), waits.unrecorded[0])
    if not trace.header.complete.memory:
        dead = sorted(dead_uses(trace), key=lambda d: d.what)
        for what, group in groupby(dead, key=lambda d: d.what):
            uses = list(group)
            reason = f"ops on buffers whose life the trace does not show ({what})"
            yield Gap(reason, len(uses), uses[0].op)


RULE = Rule("SO902", "facts-missing", "warning", (), check)
