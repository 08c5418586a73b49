"""One case: predicted, measured, and whether the one is the other."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from typing import Any

from streamsan.traces import Trace
from validation.costs.cases import Case, weights
from validation.costs.pairs import Pairs, in_turn
from validation.costs.predict import predicted
from validation.costs.profile import profiled
from validation.costs.server import Server, busy, span

FACTOR = 2.0
"""How far a prediction may be off. It is made for the recorded run, whose host takes about that
much longer: there a wait is shorter, and a call that goes is dearer, than in the run by itself."""
RESOLUTION = 0.02
"""The share of a run below which nothing is claimed: a replay that misses the recorded run by
less is taken as good (``streamsan.sim.machine.what_if_results.MOST_ERROR``)."""
_RECORDED = 2
_PROFILED = 3
_WARM = 2
"""Runs before anything is timed: memory is reused from the second on."""
_HEAD = 0.6
"""The share of a case's time that may go by before the runs that are timed."""


def row_of(case: Case, device: str, seconds: float) -> dict[str, Any]:
    """Measure a case in about so many seconds."""
    begin = time.monotonic()
    model = weights(case.fixed, device) if case.wide else None
    buggy, fixed = (Server(args, case.asks, device, model) for args in (case.buggy, case.fixed))
    for _ in range(_WARM if device == "cuda" else 1):
        buggy.serve()
        fixed.serve()
    told, spans = _recordings(case, buggy, fixed, begin + _HEAD * seconds)
    if device == "cuda":
        told |= _profile(buggy, fixed)
        pairs = in_turn(buggy.timed, fixed.timed, begin + seconds)
    else:  # recording does not take the time of a simulated clock
        pairs = Pairs(*(tuple(ns / 1e9 for ns in spans[which]) for which in (True, False)))
    told["measured"] = pairs.row()
    return _flat(case, told, pairs)


def _flat(case: Case, told: dict[str, Any], pairs: Pairs) -> dict[str, Any]:
    """Give the row of a table, with everything else under ``details``."""
    predicted, measured, recorded = told["predicted"], told["measured"], told["recorded"]
    profile = told.get("profiled", {})
    good, why = verdict(predicted.get("saved_us"), pairs, at_least=case.at_least)
    return {
        "scenario": case.scenario.name, "source": case.scenario.source, "scale": case.scale,
        "requests": len(case.asks), "good": good, "verdict": why,
        "run_us": measured["buggy_us"],
        "predicted_us": predicted.get("saved_us"),
        "measured_us": measured["saved_us"],
        "between_us": measured["between_us"],
        "recorded_us": recorded["saved_us"],
        "device_predicted_us": predicted.get("device_saved_us"),
        "device_measured_us": profile.get("device", {}).get("saved_us"),
        "waits_predicted_us": predicted.get("host_wait_saved_us"),
        "waits_measured_us": profile.get("waits", {}).get("saved_us"),
        "details": told,
    }  # fmt: skip


def _recordings(
    case: Case, buggy: Server, fixed: Server, until: float
) -> tuple[dict[str, Any], dict[bool, list[int]]]:
    """Record both in turn, and give how long they took; predict from the first of the bug."""
    told: dict[str, Any] = {"predicted": {}}
    spans: dict[bool, list[int]] = {True: [], False: []}
    work: dict[bool, list[int]] = {True: [], False: []}
    for turn in range(_RECORDED):
        if turn and time.monotonic() > until:
            break
        for is_buggy, server in ((True, buggy), (False, fixed)):
            trace, complaint = server.recorded()
            spans[is_buggy].append(span(trace))
            work[is_buggy].append(busy(trace))
            if complaint:
                told["recorder"] = complaint
            if is_buggy and not turn:
                told["predicted"] = _prediction(case, trace)
                told["ops"] = len(trace)
    told["recorded"] = {**_both(spans, "us"), **_both(work, "device_us")}
    return told, spans


def _prediction(case: Case, trace: Trace) -> dict[str, Any]:
    try:
        return predicted(case.scenario, trace)
    except LookupError as error:  # what was measured is worth having without it
        return {"error": str(error)}


def _both(found: dict[bool, list[int]], unit: str) -> dict[str, float]:
    buggy, fixed = (statistics.median(found[which]) / 1000 for which in (True, False))
    saved = round(buggy - fixed, 3)
    return {f"buggy_{unit}": buggy, f"fixed_{unit}": fixed, f"saved_{unit}": saved}


def _profile(buggy: Server, fixed: Server) -> dict[str, Any]:
    """Ask torch's profiler for device and waits; where it does not run, say so."""
    try:
        found = [
            {key: [asdict(profiled(server.serve))[key] for _ in range(_PROFILED)]
             for key in ("device", "copies", "waits")}
            for server in (buggy, fixed)
        ]  # fmt: skip
    except Exception as error:  # noqa: BLE001 - the rest of the row stands without it
        return {"profiled": {"error": f"{type(error).__name__}: {error}"}}
    medians = [{key: statistics.median(values) for key, values in each.items()} for each in found]
    return {
        "profiled": {
            key: {"buggy_us": medians[0][key], "fixed_us": medians[1][key],
                  "saved_us": medians[0][key] - medians[1][key]}
            for key in medians[0]
        }
    }  # fmt: skip


def verdict(saved: float | None, pairs: Pairs, *, at_least: bool) -> tuple[bool, str]:
    """Judge a predicted saving, in microseconds: is it good, and why.

    Args:
        saved: what was predicted; None where nothing was.
        pairs: what was measured.
        at_least: whether it may be more.
    """
    if saved is None:
        return False, "nothing was predicted"
    row = pairs.row()
    measured, (low, high) = row["saved_us"], row["between_us"]
    small = RESOLUTION * row["buggy_us"]
    off = saved / measured if measured > 0 else 0.0
    narrow = high - low <= 2 * small
    reasons = {
        "within the measured spread": narrow and low <= saved <= high,
        f"within a factor of {FACTOR:g}": low > 0 and 1 / FACTOR <= off <= FACTOR,
        f"off by less than {RESOLUTION:.0%} of the run": abs(saved - measured) <= small,
        "saves more, as it may: the fix does other work, too": at_least and 0 <= saved < high,
    }
    why = next((reason for reason, holds in reasons.items() if holds), None)
    if why is not None:
        return True, why
    if low <= 0 <= high and not narrow:
        return False, "the measured spread is too wide to tell"
    return False, f"off by a factor of {max(off, 1 / off):.1f}" if off > 0 else "off"
