"""``streamsan sim``: the mini-scheduler's scenarios, one by one or all in a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FOUND, Command
from streamsan.commands.arguments import add_report, options_of, positive

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario

DEVICES = ("simcuda", "cuda")


def _add(parser: argparse.ArgumentParser) -> None:
    doors = parser.add_subparsers(metavar="WHAT", required=True)
    each = doors.add_parser("list", help="list the scenarios", allow_abbrev=False)
    each.set_defaults(what=_list)

    each = doors.add_parser("run", help="run a scenario and check its trace", allow_abbrev=False)
    each.add_argument("name", metavar="NAME", help="see streamsan sim list")
    either = each.add_mutually_exclusive_group()
    either.add_argument("--buggy", action="store_true", help="with its bug (the default)")
    either.add_argument("--fixed", action="store_true", help="without its bug")
    _add_device(each)
    each.add_argument("-o", "--output", metavar="TRACE", help="keep the trace in this file")
    add_report(each)
    each.set_defaults(what=_run_one)

    each = doors.add_parser("matrix", help="run all of them, both ways", allow_abbrev=False)
    _add_device(each)
    each.add_argument("--only", metavar="NAMES", help="scenarios, with commas between them")
    each.add_argument("-o", "--output", metavar="DIR", help="keep traces and table in this folder")
    each.set_defaults(what=_matrix)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICES, default=DEVICES[0],
                        help="the simulated device (default), or a GPU")  # fmt: skip
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="tokens for each request, not what the scenario asks for")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    status: int = arguments.what(arguments)
    return status


def _list(_: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import emit
    from streamsan.sim.scheduler.scenarios import all_scenarios

    lines = []
    for each in all_scenarios():
        expected = ", ".join(dict.fromkeys(e.rule for e in each.expect)) or "silent"
        lines.append(f"{each.name:<28}{expected:<14}{each.about} ({each.source})\n")
    emit("".join(lines))
    return CLEAN


def _run_one(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.run import run_lint
    from streamsan.traces import save

    scenario = find(arguments.name)
    played = _play(scenario, arguments, not arguments.fixed and scenario.buggy is not None)
    with _kept(arguments.output) as path:
        if played.trace is not None:
            save(played.trace, path)
        status = run_lint(options_of(arguments, (path,)))
    _tell(arguments, played)
    return status


def _matrix(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import emit, say
    from streamsan.commands.hall.matrix import (
        Row,
        confirming,
        heading,
        line,
        row_of,
        summary,
        write_rows,
    )
    from streamsan.sim.scheduler.scenarios import all_scenarios

    names = arguments.only.split(",") if arguments.only else None
    chosen = [find(name) for name in names] if names else list(all_scenarios())
    emit(heading())
    rows: list[Row] = []
    note = ""
    with confirming(arguments.device, arguments.steps) as confirm:
        for scenario in chosen:
            variants = [True, False] if scenario.buggy is not None else [False]
            played = {buggy: _play(scenario, arguments, buggy) for buggy in variants}
            rows.append(row_of(scenario, played, confirm))
            emit(line(rows[-1]))
            note = note or next((each.note for each in played.values() if each.note), "")
            if arguments.output is not None:
                _keep(arguments.output, scenario, played)
    emit(summary(rows))
    if note:
        say("note", note)
    if arguments.output is not None:
        write_rows(arguments.output, rows)
    return CLEAN if all(row.good for row in rows) else FOUND


def find(name: str) -> Scenario:
    """Give the scenario of a name.

    Raises:
        UsageError: there is none.
    """
    from difflib import get_close_matches

    from streamsan.sim.scheduler.scenarios import all_scenarios, find_scenario
    from streamsan.traces.errors import UsageError

    name = name.strip()
    found = find_scenario(name)
    if found is None:
        near = get_close_matches(name, [each.name for each in all_scenarios()], 1)
        hint = f"; do you mean {near[0]}?" if near else "; see `streamsan sim list`"
        raise UsageError(f"there is no scenario {name!r}{hint}")
    return found


def play_here(
    scenario: Scenario, *, buggy: bool, device: str = "simcuda", steps: int | None = None
) -> Played:
    """Run one variant of a scenario and record it.

    Raises:
        UsageError: torch is missing, or the device.
    """
    from importlib.util import find_spec

    from streamsan.traces.errors import UsageError

    if find_spec("torch") is None:
        raise UsageError("the scenarios need torch: install streamsan[torch]")
    from streamsan.sim.scheduler.scenarios.play import play, play_on_cuda

    args = scenario.buggy if buggy and scenario.buggy is not None else scenario.fixed
    if device == "cuda":
        return play_on_cuda(args, scenario.asks, steps=steps)
    return play(args, scenario.asks, steps=steps)


def _play(scenario: Scenario, arguments: argparse.Namespace, buggy: bool) -> Played:
    return play_here(scenario, buggy=buggy, device=arguments.device, steps=arguments.steps)


def _kept(path: str | None) -> AbstractContextManager[str]:
    """Give the file for the trace: the user's, or one that goes away."""
    from contextlib import nullcontext

    return nullcontext(path) if path is not None else _temporary()


@contextmanager
def _temporary() -> Iterator[str]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        yield str(Path(folder) / "scenario.trace.jsonl")


def _keep(folder: str, scenario: Scenario, played: dict[bool, Played]) -> None:
    from pathlib import Path

    from streamsan.traces import save

    Path(folder).mkdir(parents=True, exist_ok=True)
    for buggy, each in played.items():
        variant = "" if scenario.buggy is None else "_buggy" if buggy else "_fixed"
        if each.trace is not None:
            save(each.trace, str(Path(folder) / f"{scenario.name}{variant}.trace.jsonl.gz"))


def _tell(arguments: argparse.Namespace, played: Played) -> None:
    from streamsan.checkers.reports.console import say

    if arguments.format in {None, "text"}:
        told = "; ".join(played.wrong) or "the tokens are those of the serial oracle"
        say("note", told)
        if played.note:
            say("note", played.note)


COMMAND = Command("run the mini-scheduler's scenarios", _add, _run)
