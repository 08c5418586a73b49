"""Waits of which the trace does not say for what they wait, and what may rest on them.

A reader writes such a wait as a ``mark`` with the key ``unresolved`` (rule SO902 counts them). It
may have ordered everything before it against everything after it. Findings of conflicts and
lifetimes that a wait could undo are left out then, or listed as possible: a setting decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import numpy as np

from streamsan.checkers.finding import Finding, Unknown
from streamsan.traces import Trace
from streamsan.traces.ops import Kind

FAMILIES = ("SO1", "SO2")
"""Where a wait undoes a finding. Costs stay: a wait more makes no copy cheaper."""
NO_WAIT = "event_record"


def unresolved_waits(trace: Trace) -> list[int]:
    """Give the waits that cannot be resolved, in issue order."""
    marks: list[int] = np.flatnonzero(trace.kind == Kind.MARK).tolist()
    return [
        op for op in marks
        if isinstance(word := trace.extras.get(op, {}).get("unresolved"), str) and word != NO_WAIT
    ]  # fmt: skip


def leave_out(trace: Trace, findings: Sequence[Finding]) -> tuple[list[Finding], list[Unknown]]:
    """Leave out what an unresolved wait between its ops may undo; say of which rules how many."""
    waits = unresolved_waits(trace)
    kept: list[Finding] = []
    lost: Counter[str] = Counter()
    for finding in findings:
        if waits and finding.rule.startswith(FAMILIES) and _is_between(waits, finding.ops):
            lost[finding.rule] += finding.count
        else:
            kept.append(finding)
    return kept, [
        Unknown(rule, f"{count} unordered pairs have a wait between them that cannot be resolved "
                "(--unresolved-waits ignore lists them)")
        for rule, count in sorted(lost.items())
    ]  # fmt: skip


def _is_between(waits: Sequence[int], ops: Sequence[int]) -> bool:
    if not ops:
        return False
    place = bisect_right(waits, min(ops))
    return place < len(waits) and waits[place] < max(ops)
