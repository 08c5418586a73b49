"""``streamsan time``: how long a trace takes, and what a change of it would save.

A trace with recorded times is replayed as it was recorded; one that lacks them, or with a cost
given, by a model.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from streamsan.commands import CLEAN, FAILED, Command
from streamsan.commands.arguments import add_allow_damaged, add_format, natural
from streamsan.commands.output import status_of

if TYPE_CHECKING:
    from streamsan.sim.machine.timeline_modelled import Costs
    from streamsan.sim.machine.what_if_changes import Change
    from streamsan.sim.machine.what_if_run import Run

MOST = 10
"""Waits of the host that are listed, the longest first."""
_PAIR = 2


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--remove", type=natural, metavar="OP", help="what if: without this op")
    change.add_argument("--unblock", type=natural, metavar="OP",
        help="what if: this copy were asynchronous")  # fmt: skip
    change.add_argument("--move", metavar="OP:STREAM", help="what if: the op were on this stream")
    change.add_argument("--edge", metavar="OP,OP", help="what if: the second waited for the first")
    add("--cost", action="append", default=[], metavar="KEY=VALUE",
        help="of the model, which stands in for times that the trace has not: kernel, launch, "
        "copy (ns), link, on_device, staging (bytes a ns)")  # fmt: skip
    add_format(parser)
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import emit
    from streamsan.sim.machine.what_if import WhatIf
    from streamsan.traces import load
    from streamsan.traces.errors import UsageError

    costs, change = _costs(arguments.cost), _change(arguments)
    trace = load(arguments.trace)
    what = WhatIf(trace)
    if arguments.cost or what.reason is not None:
        what = WhatIf(trace, costs=costs)
    try:
        after = None if change is None else what.predict(change).after
    except (IndexError, ValueError) as error:
        raise UsageError(f"{arguments.trace}: {error}") from None
    write = _json if arguments.format == "json" else _text
    if not emit(write(arguments.trace, what.run, after)):
        return FAILED
    return status_of(trace, arguments.trace, arguments.allow_damaged) or CLEAN


def _costs(given: list[str]) -> Costs:
    """Read ``KEY=VALUE``.

    Raises:
        UsageError: there is no such cost, or the value is none.
    """
    from dataclasses import asdict

    from streamsan.sim.machine.timeline_modelled import Costs
    from streamsan.traces.errors import UsageError

    values: dict[str, Any] = asdict(Costs())
    for each in given:
        key, _, text = each.partition("=")
        if key not in values:
            raise UsageError(f"--cost: no cost {key[:40]!r}; there are {', '.join(values)}")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < float("inf"):
            raise UsageError(f"--cost {key[:40]}: not a number above 0: {text[:40]!r}")
        values[key] = round(value) if isinstance(values[key], int) else value
    return Costs(**values)


def _change(arguments: argparse.Namespace) -> Change | None:
    """Read the change.

    Raises:
        UsageError: it is not written as it should be.
    """
    from streamsan.sim.machine.what_if_changes import Change
    from streamsan.traces.errors import UsageError

    if arguments.remove is not None:
        return Change(remove=(arguments.remove,))
    if arguments.unblock is not None:
        return Change(asynchronous=(arguments.unblock,))
    if arguments.move is not None:
        op, _, stream = arguments.move.partition(":")
        if not op.isdigit() or not stream:
            raise UsageError(f"--move takes OP:STREAM, not {arguments.move[:40]!r}")
        return Change(move=((int(op[:12]), stream),))
    if arguments.edge is None:
        return None
    ops = arguments.edge.split(",")
    if len(ops) != _PAIR or not all(op.isdigit() for op in ops):
        raise UsageError(f"--edge takes OP,OP, not {arguments.edge[:40]!r}")
    return Change(edge=((int(ops[0][:12]), int(ops[1][:12])),))


def _text(path: str, before: Run, after: Run | None) -> str:
    from streamsan.checkers.reports.console import visible

    how = " as recorded" if before.recorded else ""
    hangs = " and then it hangs" if before.stuck else ""
    lines = [f"{path}: {_us(before.makespan)}{how}{hangs}"]
    lines += [f"  {what} {name}: busy {_us(ns)} ({_share(ns, before)})"
              for what, part in (("stream", before.streams), ("engine", before.engines))
              for name, ns in part.items()]  # fmt: skip
    total = sum(each.ns for each in before.blocked)
    lines.append(f"  host blocked: {_us(total)} ({_share(total, before)})")
    longest = sorted(before.blocked, key=lambda each: -each.ns)[:MOST]
    lines += [f"    op {b.op} on {b.thread}: {_us(b.ns)}, for op {b.for_op}" for b in longest]
    if after is not None:
        saved = before.makespan - after.makespan
        word = "saves" if saved >= 0 else "costs"
        lines.append(
            f"with the change: {_us(after.makespan)}{', and then it hangs' if after.stuck else ''}"
            f"; it {word} {_us(abs(saved))} ({_share(abs(saved), before)})"
        )
    return "".join(f"{visible(line)}\n" for line in lines)


def _us(ns: int) -> str:
    return f"{ns / 1000:,.3f} us"


def _share(ns: int, run: Run) -> str:
    return f"{ns / run.makespan:.1%}" if run.makespan else "0.0%"


def _json(path: str, before: Run, after: Run | None) -> str:
    from streamsan.checkers.reports.machine import as_json

    return as_json({
        "version": 1, "path": path, "recorded": before.recorded, **_shape(before),
        "what_if": None if after is None else {
            **_shape(after), "saves_ns": before.makespan - after.makespan,
        },
    })  # fmt: skip


def _shape(run: Run) -> dict[str, Any]:
    return {
        "makespan_ns": run.makespan, "streams": run.streams, "engines": run.engines,
        "blocked": [each._asdict() for each in run.blocked], "hangs": run.stuck,
    }  # fmt: skip


COMMAND = Command("show how long a trace takes, and what a change would save", _add, _run)
