"""The order against the clock: no device time may contradict what happens-before says."""

from __future__ import annotations

from typing import Any

from validation.part import Context, Part, Result
from validation.recordings import chosen, trace_file, variants

TOLERANCE = 1_000
"""ns. CUPTI gives ns, the profiler's file us with three digits; two kernels of one stream that
lie back to back may touch to within its clock's tick."""


def run(context: Context) -> Result:
    """Look at every recorded trace."""
    rows = [
        _row(context, scenario.name, variant, str(path))
        for scenario in chosen(context)
        for variant in variants(scenario)
        if (path := trace_file(context, scenario, variant)).is_file()
    ]
    return {
        "good": bool(rows) and all(row["good"] for row in rows),
        "tolerance_ns": TOLERANCE,
        "checked": sum(row["checked"] for row in rows),
        "rows": rows,
    }


def _row(context: Context, name: str, variant: str, path: str) -> dict[str, Any]:
    from streamsan.traces import load
    from streamsan.traces.order.happens_before import HappensBefore
    from streamsan.traces.order.times import hold_against_times

    del context
    trace = load(path)
    held = hold_against_times(HappensBefore(trace), TOLERANCE)
    against = [
        {"first": trace[each.first].name, "second": trace[each.second].name,
         "ops": [each.first, each.second], "by_ns": each.by}
        for each in held.contradictions
    ]  # fmt: skip
    return {
        "scenario": name, "variant": variant, "good": held.checked > 0 and not against,
        "checked": held.checked, "closest_ns": held.closest, "contradictions": against,
    }  # fmt: skip


PART = Part("clock", "does a device time contradict the order", run, 20)
