"""Rounds of a program under tools in turn: times of the best round and of the middle one."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from validation.overhead.bodies import Body, count
from validation.overhead.tools import Tool

_FEWEST = 2


@dataclass(frozen=True)
class Times:
    """Seconds of the rounds of one program under one tool.

    Args:
        ops: what the program dispatches in a round.
        steps: its decode steps; 0 where there are none.
        issued: until the host has issued everything.
        done: until the device has done it, too.
        around: that starting and ending the tool take.
    """

    ops: int
    steps: int
    issued: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    around: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Give them by op, and by step where there are steps."""
        found: dict[str, Any] = {
            "ops": self.ops, "rounds": len(self.issued),
            "us_per_op": round(min(self.issued) / self.ops * 1e6, 3),
            "us_per_op_median": round(statistics.median(self.issued) / self.ops * 1e6, 3),
            "us_per_op_until_done": round(min(self.done) / self.ops * 1e6, 3),
            "start_and_end_s": round(min(self.around), 3),
        }  # fmt: skip
        if self.steps:
            found["ms_per_step"] = round(min(self.done) / self.steps * 1e3, 3)
        return found


def in_turn(
    body: Body, tools: list[Tool], synchronize: Callable[[], None], until: float
) -> dict[str, Times | Exception]:
    """Run a program under each tool in turn, round by round, and none again that raised.

    Args:
        body: the program.
        tools: the tools. What the program runs on is built under the last of them.
        synchronize: waits for the device.
        until: ``time.monotonic`` after which no round is begun beyond the first few.
    """
    with tools[-1].watch():
        run = body.make()
        run()
        ops = count(run)
        synchronize()
    found: dict[str, Times | Exception] = {}
    for turn in range(max(tool.rounds for tool in tools)):
        for tool in tools:
            times = found.setdefault(tool.name, Times(ops, body.steps))
            late = turn >= _FEWEST and time.monotonic() > until
            if turn < tool.rounds and isinstance(times, Times) and not late:
                try:
                    _round(run, tool, synchronize, times)
                except Exception as error:  # noqa: BLE001 - the other tools go on
                    found[tool.name] = error
    return found


def _round(
    run: Callable[[], None], tool: Tool, synchronize: Callable[[], None], times: Times
) -> None:
    gc.collect()
    start = time.perf_counter()
    with tool.watch():
        synchronize()
        begin = time.perf_counter()
        run()
        issued = time.perf_counter()
        synchronize()
        done = time.perf_counter()
    end = time.perf_counter()
    times.issued.append(issued - begin)
    times.done.append(done - begin)
    times.around.append(end - done + begin - start)
