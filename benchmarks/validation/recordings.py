"""Every scenario recorded: is its bug found, is the fixed one silent, was anything missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validation.part import Context, Part, Result, Unfinished

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario

TRACES = "traces"


def variants(scenario: Scenario) -> tuple[str, ...]:
    """Give the variants of a scenario: a control has one."""
    return ("fixed",) if scenario.buggy is None else ("buggy", "fixed")


def trace_file(context: Context, scenario: Scenario, variant: str) -> Path:
    """Give where the trace of a variant is kept."""
    return context.folder.file(TRACES, f"{scenario.name}_{variant}.trace.jsonl.gz")


def chosen(context: Context) -> Iterator[Scenario]:
    """Give the scenarios that were asked for."""
    from streamsan.sim.scheduler.scenarios import all_scenarios

    for scenario in all_scenarios():
        if not context.only or scenario.name in context.only:
            yield scenario


def run(context: Context) -> Result:
    """Record what is not recorded yet, each scenario both ways."""
    rows: list[dict[str, Any]] = []
    for scenario in chosen(context):
        for variant in variants(scenario):
            kept = "recordings", f"{scenario.name}_{variant}.json"
            row = context.folder.read(*kept)
            if row is None:
                if context.left < 0:
                    raise Unfinished(f"{len(rows)} recorded")
                row = _row(context, scenario, variant)
                context.folder.write(row, *kept)
            rows.append(row)
    counted = [row["activities"] for row in rows if row.get("activities")]
    matched = sum(each["matched"] for each in counted)
    return {
        "good": all(row["good"] for row in rows),
        "activities": sum(each["all"] for each in counted), "matched": matched, "rows": rows,
    }  # fmt: skip


def _row(context: Context, scenario: Scenario, variant: str) -> dict[str, Any]:
    """Record one variant, keep its trace, and judge it."""
    begin = time.monotonic()
    told = {"scenario": scenario.name, "variant": variant, "source": scenario.source}
    try:
        played = _recorded(context, scenario, variant)
    except Exception as error:  # noqa: BLE001 - the other scenarios are still to come
        return {**told, "good": False, "error": f"{type(error).__name__}: {error}"}
    row = {**told, **_verdict(scenario, variant, played), **_activities(played)}
    row["seconds"] = round(time.monotonic() - begin, 2)
    return row


def _recorded(context: Context, scenario: Scenario, variant: str) -> Played:
    from streamsan.sim.scheduler.scenarios.play import play, play_on_cuda
    from streamsan.traces import save

    args = scenario.buggy if variant == "buggy" and scenario.buggy else scenario.fixed
    if context.device == "cuda":
        played = play_on_cuda(args, scenario.asks)
    else:
        played = play(args, scenario.asks)
    if played.trace is not None:
        save(played.trace, str(trace_file(context, scenario, variant)))
    return played


def _verdict(scenario: Scenario, variant: str, played: Played) -> dict[str, Any]:
    from streamsan.commands.hall.scenarios import judge

    verdict = judge(scenario, played, variant)
    rules = [each.rule for each in verdict.findings]
    return {
        "good": verdict.good,
        "ops": 0 if played.trace is None else len(played.trace),
        "missing": list(verdict.missing),
        "extra": [f"{each.rule} {each.message}" for each in verdict.extra],
        "wrong": list(verdict.wrong),
        "rules": {rule: rules.count(rule) for rule in sorted(set(rules))},
    }


def _activities(played: Played) -> dict[str, Any]:
    """Tell what CUPTI saw; a trace that misses an activity is not good."""
    found = played.matched
    if found is None:
        return {"note": played.note, "good": False} if played.note else {}
    missed = {
        **found.unmatched,
        **{f"{name} (elsewhere)": n for name, n in found.elsewhere.items()},
    }
    count = {"all": found.activities, "matched": found.activities - found.unmatched.total()}
    return {"activities": count, "missed": missed} | ({"good": False} if missed else {})


PART = Part("recordings", "is every bug found, and every activity an op", run, 90)
