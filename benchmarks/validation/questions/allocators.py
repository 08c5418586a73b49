"""Lifetimes under torch's allocators: who is handed memory that another stream still uses?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validation.part import Context

_SCRIPT = Path(__file__).with_name("process.py")
_SECONDS = 30
BACKENDS = {
    "native": "", "expandable_segments": "expandable_segments:True",
    "cudaMallocAsync": "backend:cudaMallocAsync",
}  # fmt: skip
"""Settings of ``PYTORCH_CUDA_ALLOC_CONF``."""


@dataclass(frozen=True)
class Trial:
    """A trial of ``questions_process``, and what the rules say of it.

    Args:
        name: as the script takes it.
        words: what is done.
        rule: of the specification.
        saw: what the late reader must see; None if nothing is promised.
        same: whether the memory is handed out again at once; None if nothing is promised.
    """

    name: str
    words: str
    rule: str
    saw: str | None
    same: bool | None


_REUSE = (
    Trial("small-bare-reuse", "freed, the same size asked for", "R36", "the next owner's", True),
    Trial("small-recorded-reuse", "record_stream, freed, asked for", "R37", "right", False),
    Trial("small-waited-reuse", "owner waits, freed, asked for", "R36", "right", None),
    Trial("whole-bare-reuse", "64 MiB freed, asked for", "R36", "the next owner's", True),
    Trial("whole-recorded-reuse", "64 MiB, record_stream, freed, asked for", "R37", "right",
          False),
    Trial("whole-recorded-empty", "64 MiB, record_stream, freed, empty_cache", "R37", "right",
          None),
)  # fmt: skip
_EMPTY = (Trial("whole-bare-empty", "64 MiB freed, empty_cache", "R27, R54", None, None),)
"""What may end the process comes in one of its own."""


def lifetimes(context: Context, cycles: float) -> Iterator[dict[str, Any]]:
    """Carry the trials out under each allocator; all processes run at the same time."""
    backends = BACKENDS if context.device == "cuda" else {"native": ""}
    started = [
        (backend, trials, _start(context, cycles, setting, trials))
        for backend, setting in backends.items()
        for trials in (_REUSE, _EMPTY)
    ]
    for backend, trials, process in started:
        found, complaint = _results(process)
        for trial in trials:
            yield _row(backend, trial, found.get(trial.name, {"error": complaint}))


def _start(
    context: Context, cycles: float, setting: str, trials: tuple[Trial, ...]
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": setting}
    if not setting:
        del environment["PYTORCH_CUDA_ALLOC_CONF"]
    environment.pop("PYTORCH_ALLOC_CONF", None)
    names = [trial.name for trial in trials]
    return subprocess.Popen(  # noqa: S603 - this very folder
        [sys.executable, str(_SCRIPT), context.device, str(cycles), *names], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _results(process: subprocess.Popen[str]) -> tuple[dict[str, dict[str, Any]], str]:
    """Give what the trials of a process printed, and how it ended."""
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    found: dict[str, dict[str, Any]] = {}
    for line in out.splitlines():
        if line.startswith("{"):
            fields = json.loads(line)
            found[fields.pop("trial")] = fields
    last = (err.strip().splitlines() or [""])[-1]
    return found, f"the process ended with status {process.returncode}: {last[:200]}"


def _row(backend: str, trial: Trial, found: dict[str, Any]) -> dict[str, Any]:
    """Compare a trial with the rules; an error is an answer where nothing was promised."""
    row = {
        "question": trial.words, "allocator": backend, "rule": trial.rule,
        "predicted": trial.saw, "predicted_same_address": trial.same, **found,
    }  # fmt: skip
    pool = backend == "cudaMallocAsync"  # the driver's: what it hands out next is not promised
    if trial.saw is None or (pool and trial.saw != "right" and "error" not in found):
        return {**row, "agrees": None}
    if "error" in found or (trial.name.endswith("reuse") and not found["under_way"]):
        return {**row, "agrees": False}
    same = None if pool else trial.same  # there the driver adds edges of its own: R29
    return {
        **row, "agrees": found["saw"] == trial.saw and same in (None, found["same_address"]),
    }  # fmt: skip
