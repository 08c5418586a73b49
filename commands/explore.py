"""``streamsan explore``: run a trace under its legal schedules, and show what can come of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FAILED, FOUND, Command
from streamsan.commands.arguments import add_allow_damaged, add_format, listed, natural, positive
from streamsan.commands.output import status_of

if TYPE_CHECKING:
    from streamsan.sim.machine import Exploration, Program
    from streamsan.traces import Trace

LARGE = 2_000
"""Actions beyond which only the memory of the ops that findings name is kept."""


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--exhaustive", action="store_true", help="every outcome (default)")
    how.add_argument("--random", type=positive, metavar="N", help="N runs by chance")
    how.add_argument("--pct", type=positive, metavar="D",
        help="runs by priorities that change at D - 1 places")  # fmt: skip
    how.add_argument("--replay", metavar="S", help="the run of one schedule, op by op")
    add("--runs", type=positive, metavar="N", default=100, help="runs of --pct (default 100)")
    add("--seed", type=natural, metavar="N", default=0, help="of --random and --pct (default 0)")
    add("--max-states", type=natural, metavar="N",
        help="states that --exhaustive visits at most (default 20000)")  # fmt: skip
    add("--watch", action="append", metavar="OPS",
        help="keep only the memory that these ops touch (for large traces)")  # fmt: skip
    add("--semantics", choices=("default", "strict"), default="default",
        help="strict: under the weakest promises")  # fmt: skip
    add_format(parser)
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.commands.hall import exploring
    from streamsan.commands.hall.replaying import replay_text
    from streamsan.sim.machine.schedule import ScheduleError
    from streamsan.traces import load
    from streamsan.traces.errors import UsageError

    trace = load(arguments.trace)
    watched = _watched(trace, arguments)
    program = _program(trace, arguments, watched)
    damaged = status_of(trace, arguments.trace, arguments.allow_damaged)
    if arguments.replay is not None:
        try:
            text = replay_text(program, arguments.replay, arguments.format)
        except ScheduleError as error:
            raise UsageError(f"{arguments.trace}: {error}") from None
        return _emit(text) or damaged
    found = _explore(program, arguments)
    shown = exploring.Shown(arguments.trace, _mode(arguments), _bound(arguments), watched)
    write = exploring.as_json if arguments.format == "json" else exploring.as_text
    differ = len(found.found) > 1 or any(each.outcome.stuck for each in found.found)
    return _emit(write(found, shown)) or damaged or (FOUND if differ else CLEAN)


def _emit(text: str) -> int:
    from streamsan.checkers.reports.console import emit

    return CLEAN if emit(text) else FAILED


def _program(
    trace: Trace, arguments: argparse.Namespace, watched: tuple[int, ...] | None
) -> Program:
    """Compile; a schedule of a run with unseen host code (detail 14) brings that code along."""
    from streamsan.sim.machine import compile_trace
    from streamsan.traces.ops import LEAST_PROMISE

    semantics = LEAST_PROMISE if arguments.semantics == "strict" else None
    program = compile_trace(trace, semantics, watched)
    if arguments.replay is None or f":{program.checksum}:" in arguments.replay:
        return program
    other = compile_trace(trace, semantics, watched, escapes=True)
    return other if f":{other.checksum}:" in arguments.replay else program


def _watched(trace: Trace, arguments: argparse.Namespace) -> tuple[int, ...] | None:
    """Give the ops whose memory is kept; None for all."""
    from streamsan.traces.errors import UsageError

    if arguments.watch is not None:
        found = tuple(_op(text, len(trace)) for text in listed(arguments.watch))
        if not found:
            raise UsageError("--watch names no op")
        return found
    if len(trace) <= LARGE:
        return None
    from streamsan.checkers import check
    from streamsan.checkers.settings import Settings

    hazards = check(trace, Settings(select=("SO1", "SO2")))
    return tuple(sorted({op for finding in hazards for op in finding.ops}))


def _op(text: str, ops: int) -> int:
    from streamsan.traces.errors import UsageError

    if not text.isascii() or not text.isdigit() or int(text[:12]) >= ops:
        raise UsageError(f"--watch: the trace has no op {text[:20]!r}")
    return int(text)


def _explore(program: Program, arguments: argparse.Namespace) -> Exploration:
    from streamsan.sim.machine import explore, explore_pct, explore_random

    if arguments.random is not None:
        return explore_random(program, arguments.random, arguments.seed)
    if arguments.pct is not None:
        return explore_pct(program, arguments.pct, arguments.runs, arguments.seed)
    if arguments.max_states is not None:
        return explore(program, max_states=arguments.max_states)
    return explore(program)


def _mode(arguments: argparse.Namespace) -> str:
    if arguments.random is not None:
        return f"random, seed {arguments.seed}"
    if arguments.pct is not None:
        return f"pct of depth {arguments.pct}, seed {arguments.seed}"
    return "exhaustive"


def _bound(arguments: argparse.Namespace) -> int | None:
    from streamsan.sim.machine.explore import MAX_STATES

    if arguments.random is not None or arguments.pct is not None:
        return None
    return MAX_STATES if arguments.max_states is None else int(arguments.max_states)


COMMAND = Command(
    "show what the legal schedules of a trace can come to",
    _add,
    _run,
    "Exit status: 0 one outcome in what was tried, 1 several or a hang, 2 wrong usage or unusable "
    "input.",
)
