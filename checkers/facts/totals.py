"""What the repeats of a cost add up to: one finding stands for all of a cause."""

from __future__ import annotations

from typing import Any

from streamsan.checkers.finding import Finding

SUMMED = ("bytes", "dead_bytes", "link_ns", "wait_ns", "avoidable_ns")
"""Evidence of costs that adds up. Times are ns."""
CHANGE = "what_if"
"""The key of ``details`` that says what a replay without the cost leaves out."""


def without(**parts: list[Any]) -> dict[str, Any]:
    """Say what a what-if replay changes, part by part; empty parts are left out.

    The parts are those of ``streamsan.sim.machine.what_if_changes.Change``, which the hall makes
    of them: rules know no machine.
    """
    return {CHANGE: {name: part for name, part in parts.items() if part}}


def absorb(first: Finding, again: Finding) -> None:
    """Add the costs of a repeat to those of the finding that stands for it."""
    details, more = first.details, again.details
    change = more.get(CHANGE)
    if change is None or CHANGE not in details:
        return
    for name, part in change.items():
        details[CHANGE].setdefault(name, []).extend(part)
    total = details.setdefault("total", {key: details[key] for key in SUMMED if key in details})
    for key in list(total):
        if key in more:
            total[key] += more[key]
        else:
            del total[key]  # a sum that leaves some out is none


def settle(findings: list[Finding]) -> None:
    """Say how often a cost comes per iteration, and drop empty sums: all repeats are counted."""
    for finding in findings:
        if not finding.details.get("total", True):
            del finding.details["total"]
        entered = finding.details.get("iterations")
        if entered:
            finding.details["per_iteration"] = round(finding.count / entered, 3)
