"""Which parts still have to run, each in a process of its own within the time that is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from validation.clock import PART as CLOCK
from validation.copies.run import PART as COPIES
from validation.costs.run import PART as COSTS
from validation.endurance.run import PART as ENDURANCE
from validation.hazards.run import PART as HAZARDS
from validation.overhead.run import PART as OVERHEAD
from validation.part import Context, Part, Unfinished
from validation.provenance import PART as PROVENANCE
from validation.questions.run import PART as QUESTIONS
from validation.recordings import PART as RECORDINGS
from validation.suite.run import PART as SUITE

PARTS: tuple[Part, ...] = (
    PROVENANCE, COPIES, QUESTIONS, SUITE, RECORDINGS, CLOCK, HAZARDS, COSTS, OVERHEAD, ENDURANCE,
)  # fmt: skip
"""In the order in which they are run: short ones that tell much go first."""
_SOON = 5.0
"""Seconds below which no part is begun."""
_GRACE = 20.0
"""Seconds that a part may overrun before it is stopped: it looks at the clock between steps."""


def find(name: str) -> Part:
    """Give the part of a name.

    Raises:
        LookupError: there is none.
    """
    for part in PARTS:
        if part.name == name:
            return part
    known = ", ".join(part.name for part in PARTS)
    raise LookupError(f"there is no part {name!r}: there are {known}")


def prepare(context: Context) -> None:
    """Install the simulated device if that is what is asked for.

    Its schedule is as near to a GPU as it comes: work runs when its time has come.
    """
    if context.device != "cuda":
        from streamsan import sim

        sim.install("timed")


def perform(part: Part, context: Context) -> bool:
    """Run a part in this process and keep its result; tell whether it came to its end."""
    begin = time.monotonic()
    try:
        result = part.run(context)
    except Unfinished as told:
        print(f"{part.name}: not finished: {told}")
        return False
    result = {
        "part": part.name, "device": context.device,
        "seconds": round(time.monotonic() - begin, 1), **result,
    }  # fmt: skip
    context.folder.write(result, f"{part.name}.json")
    return True


def carry_out(context: Context, chosen: Sequence[Part], script: Path, options: list[str]) -> bool:
    """Run what has no result yet; tell whether every part has one."""
    done = True
    for part in chosen:
        if context.folder.read(f"{part.name}.json") is not None:
            print(f"{part.name}: kept from before", flush=True)
        elif context.device != "cuda" and not part.rehearsed:
            print(f"{part.name}: needs a GPU, left out", flush=True)
        elif context.left < _SOON:
            print(f"{part.name}: left for the next run", flush=True)
            done = False
        else:
            done = _in_process(context, part, script, options) and done
    return done


def _in_process(context: Context, part: Part, script: Path, options: list[str]) -> bool:
    """Run a part in a process: what it breaks, it breaks alone. Its output is kept beside."""
    log = context.folder.file("log", f"{part.name}.txt")
    left = context.left
    print(f"{part.name}: {part.about} (about {part.seconds} s)", flush=True)
    begin = time.monotonic()
    command = [
        sys.executable, str(script), "--part", part.name, "--seconds", f"{left:.0f}", *options,
    ]  # fmt: skip
    with log.open("ab") as out:
        try:
            status = subprocess.run(  # noqa: S603 - this very script
                command, stdout=out, stderr=subprocess.STDOUT, timeout=left + _GRACE, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    found = context.folder.read(f"{part.name}.json")
    words = "done" if found is not None else f"NOT DONE (exit status {status}): see {log}"
    print(f"{part.name}: {words}, {time.monotonic() - begin:.0f} s", flush=True)
    return found is not None
