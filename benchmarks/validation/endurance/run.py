"""Thousands of steps of the mini-scheduler in one recording: speed, size, memory, and lint.

Requests keep coming. A scheduler ends after two hundred iterations by itself, so the same one is
given more requests again and again, within one recording. The trace stays in the result folder,
in the smaller of two packed forms; what was recorded is linted, and no error is predicted.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from streamsan.checkers import check
from streamsan.traces import Trace, load, save
from validation.endurance.laps import Laps
from validation.endurance.memory import flat, reading
from validation.part import Context, Part, Result, Unfinished

NAME = "endurance.trace.jsonl"
_PACKED = ("endurance.trace.jsonl.gz", "endurance.npz")
_STEPS = {"cuda": 2_000, "simcuda": 400}
_SECONDS = {"cuda": 25.0, "simcuda": 30.0}
_LEAST = 10.0
_LINT_S = 150e-6
"""Seconds that lint takes for an op, about; SO404 most of them."""
_SHARE = 0.4
"""The part of the time that is left which recording may take: the rest is for the lint."""


def run(context: Context) -> Result:
    """Record, pack and lint.

    Raises:
        Unfinished: there is too little time for it.
    """
    if context.left < _LEAST:
        raise Unfinished(f"{context.left:.0f} s are too few")
    path = context.folder.file(NAME)
    told, rows = _recorded(context, path)
    print(told, flush=True)
    begin = time.perf_counter()
    trace = load(path)
    told |= {"load_s": round(time.perf_counter() - begin, 2), "ops": len(trace)}
    told["ops_per_second"] = round(len(trace) / told["recorded_s"])
    told["ops_per_step"] = round(len(trace) / told["steps"], 1)
    told |= _packed(context, trace, path)
    if context.left < len(trace) * _LINT_S:
        print(told, flush=True)
        raise Unfinished(f"no time to lint {len(trace)} ops")
    told |= _linted(trace)
    print(told, flush=True)
    steady = context.device != "cuda" or flat([row["rss_mb"] for row in rows])
    good = steady and not told["errors"] and not told["wrong"] and told["whole"]
    return {"good": good, "rows": rows, "memory_steady": steady, **told}


def _recorded(context: Context, path: Path) -> tuple[Result, list[dict[str, Any]]]:
    """Serve under a recording until there are enough steps, or time is up."""
    import streamsan

    most = min(_SECONDS[context.device], context.left * _SHARE)
    laps = Laps(context.device)
    laps.run()  # what is built at first use is no part of it
    laps.clear()
    plain = _timed(laps)
    laps.clear()
    rows = []
    begin = time.perf_counter()
    with streamsan.record(path):
        while laps.steps < _STEPS[context.device] and time.perf_counter() - begin < most:
            laps.run()
            seconds = time.perf_counter() - begin
            rows.append({"seconds": round(seconds, 2), "steps": laps.steps, **reading(path),
                         **_device(context)})  # fmt: skip
        recorded = time.perf_counter() - begin
    return {
        "steps": laps.steps,
        "requests": laps.requests,
        "recorded_s": round(recorded, 2),
        "ms_per_step": round(recorded / laps.steps * 1e3, 3),
        "ms_per_step_unrecorded": round(plain * 1e3, 3),
        "wrong": laps.wrong,
        "file_mb": round(path.stat().st_size / 1e6, 2),
    }, rows


def _timed(laps: Laps) -> float:
    begin = time.perf_counter()
    laps.run()
    return (time.perf_counter() - begin) / laps.steps


def _device(context: Context) -> dict[str, Any]:
    if context.device != "cuda":
        return {}
    return {"device_mb": round(context.module.memory_allocated() / 1e6, 3)}


def _linted(trace: Trace) -> Result:
    """Give what lint finds, by rule, and how long it takes."""
    begin = time.perf_counter()
    report = check(trace)
    found = list(report)
    complete = trace.header.complete
    return {
        "lint_s": round(time.perf_counter() - begin, 2),
        "findings": dict(Counter(each.rule for each in found)),
        "repeats": dict(sum((Counter({each.rule: each.count}) for each in found), Counter())),
        "errors": [f"{each.rule} {each.message}" for each in found if each.severity == "error"],
        "whole": all(getattr(complete, name) for name in complete.__struct_fields__),
        "complete": {name: getattr(complete, name) for name in complete.__struct_fields__},
        "unknown": [str(each) for each in report.unknown][:10],
    }


def _packed(context: Context, trace: Trace, path: Path) -> Result:
    """Keep the smaller packed form, and not the file itself, which is large."""
    sizes: dict[Path, int] = {}
    for name in _PACKED:
        packed = context.folder.file(name)
        save(trace, packed)
        sizes[packed] = packed.stat().st_size
    kept = min(sizes, key=lambda each: sizes[each])
    for each in (*sizes, path):
        if each != kept:
            each.unlink()
    return {
        "kept": kept.name,
        "packed_mb": {each.name: round(size / 1e6, 2) for each, size in sizes.items()},
    }


PART = Part("endurance", "what thousands of recorded steps cost, and are they clean", run, 60)
