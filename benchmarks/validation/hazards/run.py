"""Are the hazards real: each buggy scenario made wrong by a delay, each fixed one never.

Workers share the device. A wrong index may end a worker's use of the GPU for good: then the bug has
shown, the worker ends, and what it still had to do goes to another.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validation.hazards.bench import CLOCK, Task, result_file
from validation.part import Context, Part, Result, Unfinished
from validation.recordings import chosen

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.scenario import Scenario

ALLOCATORS = {
    "native": "",
    "expandable segments": "expandable_segments:True",
    "cudaMallocAsync": "backend:cudaMallocAsync",
}
"""Settings of torch's allocator by the names they go by."""
_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_SCRIPT = Path(__file__).resolve().parents[2] / "validate.py"


def run(context: Context) -> Result:
    """Carry out every task, in as many processes as may run at once."""
    from streamsan.sim.scheduler.scenarios.delays import cycles_per_ms

    if context.folder.read(*CLOCK) is None:
        context.folder.write({"cycles_per_ms": cycles_per_ms(context.device)}, *CLOCK)
    wanted = list(tasks(context))
    while left := [task for task in wanted if not _finished(context, task)]:
        before = _progress(context, left)
        if context.left < 0:
            raise Unfinished(f"{len(left)} of {len(wanted)} tasks left")
        _work(context, left)
        if _progress(context, left) == before:
            raise Unfinished(f"no progress on {', '.join(map(str, left[:3]))}: see the log")
    rows = [_row(context, scenario) for scenario in chosen(context) if scenario.wrong != "time"]
    return {"good": all(row["good"] for row in rows), "tries": context.tries, "rows": rows}


def tasks(context: Context) -> Iterator[Task]:
    """Give what is to be done: lifetime bugs under every allocator, all else under torch's own."""
    for variant in ("buggy", "fixed"):
        for scenario in chosen(context):
            if scenario.wrong != "time" and (variant == "fixed" or scenario.buggy is not None):
                for allocator in _allocators(context, scenario):
                    yield Task(scenario.name, variant, allocator)


def _allocators(context: Context, scenario: Scenario) -> tuple[str, ...]:
    lifetime = any(each.rule.startswith("SO2") for each in scenario.expect)
    return tuple(ALLOCATORS) if lifetime and context.device == "cuda" else ("native",)


def _finished(context: Context, task: Task) -> bool:
    found = context.folder.read(*result_file(task))
    return found is not None and bool(found["finished"])


def _progress(context: Context, wanted: list[Task]) -> list[Any]:
    return [context.folder.read(*result_file(task)) for task in wanted]


def _work(context: Context, wanted: list[Task]) -> None:
    """Deal the tasks out to workers, and wait for all of them."""
    hands: list[tuple[str, list[Task]]] = []
    for allocator in ALLOCATORS:
        mine = [task for task in wanted if task.allocator == allocator]
        share = max(1, round(context.jobs * len(mine) / len(wanted)))
        hands += [(allocator, mine[i::share]) for i in range(share) if mine[i::share]]
    workers = [(_worker(context, *hand), hand[1]) for hand in hands]
    for worker, mine in workers:
        status = worker.wait()
        if status:
            note_death(context, mine, status)


def note_death(context: Context, mine: list[Task], status: int) -> None:
    """Tell of the task at which a worker died: with the bug that is how it shows."""
    for task in mine:
        found = context.folder.read(*result_file(task))
        if found is not None and not found["finished"]:
            told = f"the process died: exit status {status}"
            shown = (
                {"kind": "failure", "told": told} if task.variant == "buggy" else {"error": told}
            )
            context.folder.write({**found, "finished": True, **shown}, *result_file(task))
            return


def _worker(context: Context, allocator: str, mine: list[Task]) -> subprocess.Popen[bytes]:
    environment = {**os.environ}
    for name in _VARIABLES:
        environment.pop(name, None)
        if ALLOCATORS[allocator]:
            environment[name] = ALLOCATORS[allocator]
    command = [
        sys.executable, str(_SCRIPT), "-o", str(context.folder.path), "--device", context.device,
        "--tries", str(context.tries), "--seconds", f"{max(context.left, 1):.0f}",
        "--tasks", ",".join(map(str, mine)),
    ]  # fmt: skip
    return subprocess.Popen(command, env=environment)  # noqa: S603 - this very script


def _row(context: Context, scenario: Scenario) -> dict[str, Any]:
    """Put the results of a scenario together: predicted, reproduced, tries."""
    rules = list(dict.fromkeys(each.rule for each in scenario.expect))
    row: dict[str, Any] = {"scenario": scenario.name, "source": scenario.source, "rules": rules}
    for variant in ("buggy", "fixed"):
        row[variant] = {
            allocator: {k: v for k, v in found.items() if k != "finished"}
            for allocator in _allocators(context, scenario)
            if (found := context.folder.read(*result_file(
                Task(scenario.name, variant, allocator)))) is not None
        }  # fmt: skip
    shown = scenario.buggy is None or any(each.get("kind") for each in row["buggy"].values())
    held = all(not each.get("failures") and "error" not in each for each in row["fixed"].values())
    row["good"] = shown and held
    return row


PART = Part("hazards", "does a delay make it wrong, with the bug and only then", run, 240)
