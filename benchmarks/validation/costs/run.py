"""Predicted saving against measured saving, for every scenario whose bug costs only time.

Predicted: the buggy variant is recorded with device times, and lint prices its findings; those of
one bug are priced together, because one fix removes them together. Measured: both variants serve
the same requests in turn, unrecorded, on schedulers that were built before. Each row also has the
difference under the recorder, and what torch's own profiler says of the device and of the host's
waits; ``costs_details.json`` has all of it. On the simulated device the measured times are
simulated ones.
"""

from __future__ import annotations

import gc
import time

from validation.costs.cases import Case, cases, widest
from validation.costs.row import FACTOR, RESOLUTION, row_of
from validation.part import Context, Part, Result, Unfinished

_SECONDS = {"cuda": 75.0, "simcuda": 180.0}
_LEAST = 1.0
"""Seconds below which no case is begun."""


def run(context: Context) -> Result:
    """Measure case by case. Those for which no time is left are named.

    Raises:
        Unfinished: there was no time for any.
    """
    free = context.module.mem_get_info()[0] if context.device == "cuda" else None
    todo = cases(widest(free), context.only)
    until = time.monotonic() + min(_SECONDS[context.device], context.left)
    rows, left = [], []
    details: Result = {}
    for number, case in enumerate(todo):
        seconds = until - time.monotonic()
        if seconds < _LEAST:
            left.append(f"{case.scenario.name}, {case.scale}")
            continue
        row = _row(context, case, seconds / (len(todo) - number))
        print(row, flush=True)
        details[f"{case.scenario.name}, {case.scale}"] = row.pop("details", {})
        rows.append(row)
    if todo and not rows:
        raise Unfinished("no time for a single case")
    context.folder.write(details, "costs_details.json")
    return {
        "good": all(row["good"] for row in rows) and not left,
        "rows": rows,
        "left_out": left,
        "factor": FACTOR,
        "resolution": RESOLUTION,
    }


def _row(context: Context, case: Case, seconds: float) -> Result:
    try:
        return row_of(case, context.device, seconds)
    except Exception as error:  # noqa: BLE001 - the other cases go on
        told = str(error).partition("\n")[0]
        return {
            "scenario": case.scenario.name, "source": case.scenario.source, "scale": case.scale,
            "good": False, "verdict": f"{type(error).__name__}: {told}",
        }  # fmt: skip
    finally:
        gc.collect()  # schedulers refer to themselves, and hold gigabytes of weights
        if context.device == "cuda":
            context.module.empty_cache()


PART = Part("costs", "does a fix save what lint predicts that it saves", run, seconds=80)
