"""The simulated device's programs on the device: do they give the values of the CPU?

Each runs with its waits, as it stands and as a program of two streams, then under delays, which a
correct program cannot tell. The same programs without their wait are run under those delays too:
how many come out wrong is told, and is no part of the verdict.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from validation.part import Context, Part, Result, Unfinished
from validation.probe import Probe, told
from validation.suite.delays import WHERE, delayed
from validation.suite.rows import (
    NOT_COMPARABLE,
    TWO_DEVICES,
    Program,
    difference,
    expected,
    names,
    on_device,
    once,
    twin,
)

Row = dict[str, Any]
_DELAY = 8.0
"""Milliseconds."""
_ENOUGH = 2.0
"""Seconds that a part needs to come to its end."""


def run(context: Context) -> Result:
    """Run all rows."""
    cycles = int(_DELAY * Probe(context).cycles)
    with on_device(context.device):
        rows = [_row(context, cycles, name) for name in names()]
    without = [row for row in rows if row.get("without_wait")]
    return {
        "good": all(row["agrees"] is not False for row in rows), "rows": rows,
        "compared": sum(row["agrees"] is not None for row in rows),
        "twins_without_wait": len(without),
        "wrong_without_wait": sum(row["without_wait"] == "wrong" for row in without),
        "not_wrong_without_wait": [
            row["row"] for row in without if row["without_wait"] == "right"
        ],
        "differences": [row for row in rows if row["agrees"] is False],
    }  # fmt: skip


def _row(context: Context, cycles: int, name: str) -> Row:
    """Run one row in all its forms."""
    if context.left < _ENOUGH:
        raise Unfinished(f"time was up at {name}")
    reason = NOT_COMPARABLE.get(name)
    if name in TWO_DEVICES and context.module.device_count() < 2:  # noqa: PLR2004
        reason = "needs two devices"
    if reason is not None:
        return {"row": name, "found": f"not comparable: {reason}", "agrees": None}
    said = [_plain(context, name, once(name))]
    synced, unsynced = twin(name, synced=True), twin(name, synced=False)
    if synced is not None:
        said.append(_plain(context, name, synced))
        said += [_late(context, cycles, name, synced, where) for where in WHERE]
    wrong = [each for each in said if each is not None]
    return {
        "row": name, "found": wrong[0] if wrong else "the values of the CPU", "runs": len(said),
        "wrong_runs": len(wrong), "agrees": not wrong,
        "without_wait": None if unsynced is None else _without(context, cycles, name, unsynced),
    }  # fmt: skip


def _plain(context: Context, name: str, program: Program) -> str | None:
    """Run a program; say what is wrong with its values, or that it failed."""
    try:
        with _apart(context):
            return difference(program(), expected(name))
    except Exception as error:  # noqa: BLE001 - a program that fails is a row that says so
        return told(error)
    finally:
        _settle(context)


def _late(context: Context, cycles: int, name: str, program: Program, where: str) -> str | None:
    """The same under delays."""
    try:
        with _apart(context), delayed(context.module, where, cycles):
            found = program()
        return difference(found, expected(name))
    except Exception as error:  # noqa: BLE001 - a row that fails says so
        return told(error)
    finally:
        _settle(context)


def _without(context: Context, cycles: int, name: str, program: Program) -> str:
    """Run a program that lacks its wait, delayed in one place and in the other."""
    for where in WHERE:
        if _late(context, cycles, name, program, where) is not None:
            return "wrong"
    return "right"


def _apart(context: Context) -> AbstractContextManager[object]:
    """Give a program the simulated device as it is at the start, as the tests do."""
    if context.device == "cuda":
        return nullcontext()
    from streamsan import sim

    return sim.session("timed")


def _settle(context: Context) -> None:
    """Let nothing of a row reach the next one."""
    try:
        context.module.synchronize()
    except Exception as error:  # noqa: BLE001 - told by the row itself
        print(f"suite: {told(error)}")


PART = Part("suite", "the programs of the simulated device's tests, on the device", run, seconds=60)
