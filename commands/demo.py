"""``streamsan demo``: a real bug of an overlap scheduler, found, shown to be real, and fixed."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import AbstractContextManager, chdir, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FOUND, Command

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.scenario import Scenario

DEFAULT = "swa_war"


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default=DEFAULT, metavar="NAME",
                        help=f"a scenario; see streamsan sim list (default {DEFAULT})")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="DIR", help="keep both traces in this folder")


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import emit
    from streamsan.commands.hall.scenarios import confirm, judge
    from streamsan.commands.sim import find, play_here

    scenario = find(arguments.name)
    if scenario.buggy is None:
        scenario = _as_control(scenario)
    emit(_opening(scenario))
    buggy = play_here(scenario, buggy=True)
    with _folder(arguments.output) as folder:
        emit(_title("1. Run it with the bug, record it, lint the record"))
        emit(_tokens(buggy))
        _lint(scenario, buggy, folder, "buggy")
        emit(_title("2. Is it real? Hold the first op of the pair back, and run it again"))
        shown = confirm(scenario, buggy)
        emit(f"{_NO_RACE if shown is None else f'Yes: {shown}'}\n")
        emit(_title("3. Without the bug"))
        fixed = play_here(scenario, buggy=False)
        emit(_tokens(fixed))
        _lint(scenario, fixed, folder, "fixed")
    verdicts = judge(scenario, buggy, "buggy"), judge(scenario, fixed, "fixed")
    return CLEAN if all(verdict.good for verdict in verdicts) else FOUND


_NO_RACE = "Nothing comes out wrong: what this bug costs is time."


def _as_control(scenario: Scenario) -> Scenario:
    from streamsan.traces.errors import UsageError

    raise UsageError(f"{scenario.name} has no bug: `streamsan sim run {scenario.name}` runs it")


def _opening(scenario: Scenario) -> str:
    return (
        f"{scenario.name}: {scenario.about} ({scenario.source})\n"
        "An overlap scheduler in small, on a simulated device: schedule stream S, forward stream F,"
        "\ncopy streams C and P. Its tokens are compared with a serial oracle.\n"
    )


def _title(text: str) -> str:
    return f"\n== {text} ==\n\n"


def _tokens(played: Played) -> str:
    if played.wrong:
        return "".join(f"wrong tokens, {each}\n" for each in played.wrong)
    return "This run, in which every op ran at once, gave the right tokens.\n\n"


def _lint(scenario: Scenario, played: Played, folder: str, variant: str) -> None:
    """Save and lint a trace as a user would: the rules of this bug, and every error."""
    from streamsan.checkers.reports.run import Options, run_lint
    from streamsan.checkers.settings import Settings
    from streamsan.traces import save

    assert played.trace is not None  # noqa: S101 - it was recorded
    path = f"{scenario.name}_{variant}.trace.jsonl"
    rules = tuple(dict.fromkeys(each.rule for each in scenario.expect))
    select = ("SO1", "SO2", "SO7", *rules)
    with chdir(folder):
        save(played.trace, path)
        run_lint(Options(paths=(path,), settings=Settings(select=select), exit_zero=True))


def _folder(output: str | None) -> AbstractContextManager[str]:
    if output is None:
        return tempfile.TemporaryDirectory(prefix="streamsan-")
    Path(output).mkdir(parents=True, exist_ok=True)
    return nullcontext(output)


COMMAND = Command("find, confirm and fix a real scheduler bug, in a minute", _add, _run)
