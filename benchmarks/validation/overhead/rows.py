"""The rows of the table: every program under every tool, within a time."""

from __future__ import annotations

import time
from typing import Any

from validation.overhead.bodies import Body
from validation.overhead.rounds import Times, in_turn
from validation.overhead.tools import Tool
from validation.part import Context, Unfinished

Row = dict[str, Any]


def portion(until: float, share: float) -> float:
    """Give the time by which a share of what is left is gone."""
    now = time.monotonic()
    return now + share * (until - now)


def all_rows(context: Context, programs: list[Body], tools: list[Tool], until: float) -> list[Row]:
    """Time all programs under some tools.

    Raises:
        Unfinished: time is up. Half of a comparison is none.
    """
    rows = []
    for number, body in enumerate(programs):
        if context.left <= 0:
            raise Unfinished("the programs that are left would overrun")
        share = 1 / (len(programs) - number)
        rows += _rows(context, body, tools, portion(until, share))
    return rows


def _rows(context: Context, body: Body, tools: list[Tool], until: float) -> list[Row]:
    """Time one program under some tools; a tool that fails has a row that says why."""
    found: dict[str, Times | Exception]
    try:
        found = in_turn(body, tools, context.module.synchronize, until)
    except Exception as error:  # noqa: BLE001 - the other programs go on
        found = {tool.name: error for tool in tools}
    rows = []
    for tool, times in found.items():
        row: Row = {"program": body.name, "tool": tool, "good": isinstance(times, Times)}
        if isinstance(times, Times):
            row |= times.row()
        else:
            row["error"] = f"{type(times).__name__}: {str(times).partition(chr(10))[0]}"
        rows.append(row)
        print(row, flush=True)
    return rows


def compare(rows: list[Row], tools: dict[str, str]) -> None:
    """Add to each row its times beside those of other tools.

    Args:
        rows: the rows; those that failed stay as they are.
        tools: by the name of a column, the tool that it compares with.
    """
    known = {(row["program"], row["tool"]): row for row in rows if "us_per_op" in row}
    for row in known.values():
        for name, tool in tools.items():
            other = known.get((row["program"], tool))
            if other is not None:
                row[name] = round(row["us_per_op"] / other["us_per_op"], 3)
                middle = row["us_per_op_median"] / other["us_per_op_median"]
                row[f"{name}_median"] = round(middle, 3)
