"""What recording costs, beside torch's own sanitizer and beside nothing.

The same programs run under nothing before anything was recorded; then in turn under nothing again
and under the recorder in its modes; then with the profiler. Recorder and sanitizer both leave
callbacks behind for the life of a process, so the sanitizer runs in one of its own, right after.
Times are those of the host until everything is issued, and until the device is done with it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from validation.overhead.bodies import Body, bodies
from validation.overhead.rows import Row, all_rows, compare, portion
from validation.overhead.tools import (
    NOTHING,
    RECORDER,
    SANITIZER,
    nothing,
    profiler,
    recorders,
)
from validation.overhead.worker import RESULT
from validation.part import Context, Part, Result, Unfinished

REQUIRED = 0.25
"""The most that recording may take of the sanitizer's time for the same program."""
_SECONDS = 70.0
_PLAIN, _RECORDERS, _PROFILER = 0.1, 0.4, 0.4
"""Shares of the time that is left then; the rest is the sanitizer's."""
_LEAST = 10.0
_START = 15.0
"""Seconds in which the sanitizer's process imports torch, and may overrun."""
_NO_SANITIZER = "torch's sanitizer watches CUDA alone"


def run(context: Context) -> Result:
    """Time every program under every tool.

    Raises:
        Unfinished: there is too little time for all of it.
    """
    if context.left < _LEAST:
        raise Unfinished(f"{context.left:.0f} s are too few")
    until = time.monotonic() + min(_SECONDS, context.left)
    told: Result = {"required": REQUIRED}
    real = context.device == "cuda"
    rows = _recorded(context, bodies(context.device), portion(until, 0.7 if real else 1.0))
    if real:
        try:
            found = _sanitized(context, until)
            rows += found["rows"]
            told["sanitizer_reports"] = found["reports"]
        except (OSError, subprocess.SubprocessError, LookupError) as error:
            rows.append({"program": "all", "tool": SANITIZER, "good": False,
                         "error": f"{type(error).__name__}: {error}"})  # fmt: skip
    else:
        told["left_out"] = {SANITIZER: _NO_SANITIZER}
    compare(rows, {"times_nothing": NOTHING, "times_sanitizer": SANITIZER})
    for row in rows:
        if row["tool"] == RECORDER and "times_sanitizer" in row:
            row["good"] = row["times_sanitizer"] <= REQUIRED
    return {"good": all(row["good"] for row in rows), "rows": rows, **told}


def _recorded(context: Context, programs: list[Body], until: float) -> list[Row]:
    """Time nothing, the recorder in its modes, and on a GPU the recorder with the profiler."""
    plain, rows = nothing(context.device), []
    again = replace(plain, name=f"{NOTHING}, after a recording")
    with tempfile.TemporaryDirectory(prefix="streamsan-") as name:
        folder = Path(name)
        modes = recorders(context.device, folder)
        rows += all_rows(context, programs, [plain], portion(until, _PLAIN))
        rows += all_rows(context, programs, [*modes, again], portion(until, _RECORDERS))
        if context.device == "cuda":
            rows += all_rows(context, programs, [profiler(folder)], portion(until, _PROFILER))
    return rows


def _sanitized(context: Context, until: float) -> Result:
    """Time the sanitizer in a process of its own.

    Raises:
        LookupError: it left no result.
    """
    seconds = max(until - time.monotonic(), _LEAST)
    script = Path(__file__).with_name("worker.py")
    command = [sys.executable, str(script), str(context.folder.path), f"{seconds:.0f}"]
    subprocess.run(command, timeout=seconds + _START, check=True)  # noqa: S603 - our own
    found: Result | None = context.folder.read(RESULT)
    if found is None:
        raise LookupError("the sanitizer's process left no result")
    return found


PART = Part("overhead", "what does recording cost, beside torch's own sanitizer", run, seconds=70)
