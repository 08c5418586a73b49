"""What the page says about costs: who waited, what was copied, and what could be saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.stats import Counting
from streamsan.traces.model import Trace

_GAINS = ("avoidable_ns", "moves_ns", "wait_ns", "link_ns", "dead_bytes", "bytes")
_FAMILIES = ("SO4", "SO5")
"""Rules on costs."""


def costs_of(trace: Trace, findings: Iterable[Finding]) -> dict[str, Any]:
    """Give the tables of the page's view of costs."""
    stats = Counting(trace).stats()
    return {
        "blocked": stats.blocked_ns,
        "payers": [asdict(row) for row in stats.payers],
        "copies": [asdict(row) for row in stats.copies],
        "syncs": [asdict(row) for row in stats.syncs],
        "streams": [asdict(row) for row in stats.streams],
        "gains": [gain for f in enumerate(findings) if (gain := _gain(*f)) is not None],
    }


def _gain(number: int, finding: Finding) -> dict[str, Any] | None:
    """Say what mending a finding would save; None for one that costs nothing."""
    if not finding.rule.startswith(_FAMILIES):
        return None
    known = {key: finding.details.get(key) for key in _GAINS}
    return {
        "finding": number,
        "hint": finding.hint,
        **{key: value for key, value in known.items() if isinstance(value, int)},
    }
