"""What lint predicts that a fix saves: all findings of the bug together: a fix removes all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamsan.checkers import Finding, check
from streamsan.commands.hall.pricing import CHANGE, priced
from streamsan.sim.scheduler.scenarios.scenario import Scenario
from streamsan.traces import Trace

MICRO = 1000.0


def predicted(scenario: Scenario, trace: Trace) -> dict[str, Any]:
    """Price the findings of a scenario's rules, each alone and all together, in microseconds.

    Raises:
        LookupError: the bug was not found, or the times of the trace allow no replay.
    """
    rules = {each.rule for each in scenario.expect}
    found = [each for each in check(trace).findings if each.rule in rules]
    costs = [each for each in found if CHANGE in each.details]
    if not costs:
        raise LookupError(f"no finding of {', '.join(sorted(rules))} has a price")
    (whole,) = priced(trace, (replace(costs[0], details={CHANGE: _together(costs)}),))
    if "predicted" not in whole.details:
        raise LookupError("the times of the trace allow no replay, so nothing is predicted")
    told = whole.details["predicted"]
    alone = [each.details.get("predicted", {}) for each in priced(trace, tuple(costs))]
    return {
        "findings": {f"{each.rule} {each.buffer or ''}".strip(): each.count for each in costs},
        "saved_us": told["gain_ns"] / MICRO,
        "host_wait_saved_us": told["host_wait_gain_ns"] / MICRO,
        "device_saved_us": _link(costs) / MICRO,
        "run_us": told["run_ns"] / MICRO,
        "unexplained": told["unexplained"],
        "each_alone_us": [each["gain_ns"] / MICRO for each in alone if each],
        "next_payer": told.get("payer", ""),
    }


def _together(costs: list[Finding]) -> dict[str, list[Any]]:
    """Add up what the findings leave out. Two uploads in a row must both change."""
    found: dict[str, list[Any]] = {}
    for each in costs:
        for name, part in each.details[CHANGE].items():
            found.setdefault(name, []).extend(part)
    return found


def _link(costs: list[Finding]) -> int:
    """Give the device time that goes: of dead copies all of it, of waits none."""
    dead = [each for each in costs if each.rule == "SO501"]
    return sum(each.details.get("total", each.details).get("link_ns", 0) for each in dead)
