"""What the page says about costs: who waited, what was copied, and what could be saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from streamsan.checkers.finding import Finding
from streamsan.checkers.reports.costs import cost_lines
from streamsan.checkers.reports.stats import Counting
from streamsan.traces.model import Trace

_FAMILIES = ("SO4", "SO5")
"""Rules on costs."""


def costs_of(trace: Trace, findings: Iterable[Finding]) -> dict[str, Any]:
    """Give the tables of the page's view of costs."""
    stats = Counting(trace).stats()
    gains = [gain for f in enumerate(findings) if (gain := _gain(*f)) is not None]
    return {
        "blocked": stats.blocked_ns,
        "payers": [asdict(row) for row in stats.payers],
        "copies": [asdict(row) for row in stats.copies],
        "syncs": [asdict(row) for row in stats.syncs],
        "gains": sorted(gains, key=lambda gain: -gain["ns"]),
    }


def _gain(number: int, finding: Finding) -> dict[str, Any] | None:
    """Say what mending a finding would save; None for one that costs nothing.

    ``ns`` is what a replay without the cost predicts, or else what of a wait is avoidable.
    """
    if not finding.rule.startswith(_FAMILIES):
        return None
    predicted = finding.details.get("predicted") or {}
    gain = predicted.get("gain_ns", finding.details.get("avoidable_ns", 0))
    return {
        "finding": number,
        "hint": finding.hint,
        "ns": gain if isinstance(gain, int) else 0,
        "words": [words for _, words in cost_lines(finding)],
    }
