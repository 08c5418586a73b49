"""``streamsan confirm``: show two schedules that disagree, for the findings of a trace."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FAILED, FOUND, Command
from streamsan.commands.arguments import add_allow_damaged, add_format, listed, positive
from streamsan.commands.output import status_of

if TYPE_CHECKING:
    from streamsan.checkers import Finding


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("--finding", type=positive, metavar="N",
        help="only this finding: its number in the list that is printed without")  # fmt: skip
    add("--replay", action="store_true", help="with --finding: both runs side by side, op by op")
    add("--select", action="append", metavar="CODES", help="rules to run (default ALL)")
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add("--semantics", choices=("default", "strict"), default="default",
        help="strict: also findings that only the weakest promises allow")  # fmt: skip
    add_format(parser)
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers import check
    from streamsan.checkers.reports.console import emit
    from streamsan.checkers.settings import Settings
    from streamsan.commands.hall import judged
    from streamsan.commands.hall.confirming import Confirmer
    from streamsan.traces import load
    from streamsan.traces.errors import UsageError

    if arguments.replay and arguments.finding is None:
        raise UsageError("--replay shows one finding: name it with --finding N")
    trace = load(arguments.trace)
    settings = Settings(
        select=listed(arguments.select), ignore=listed(arguments.ignore),
        semantics=arguments.semantics,
    )  # fmt: skip
    asked = _asked(check(trace, settings).findings, arguments.finding)
    confirmer = Confirmer(trace)
    found = [judged.Judged(n, each, confirmer.look(each)) for n, each in asked]
    damaged = status_of(trace, arguments.trace, arguments.allow_damaged)
    if arguments.format == "json":
        text = judged.as_json(arguments.trace, found, runs=arguments.replay)
    elif arguments.replay:
        text = judged.replay_text(found[0])
    else:
        text = judged.list_text(arguments.trace, found)
    if not emit(text):
        return FAILED
    return damaged or (FOUND if any(each.confirmed for each in found) else CLEAN)


def _asked(findings: tuple[Finding, ...], number: int | None) -> list[tuple[int, Finding]]:
    """Give the findings that were asked for, numbered from 1.

    Raises:
        UsageError: there is none of that number.
    """
    from streamsan.traces.errors import UsageError

    numbered = list(enumerate(findings, 1))
    if number is None:
        return numbered
    if number > len(numbered):
        noun = "finding" if len(numbered) == 1 else "findings"
        raise UsageError(f"there is no finding {number}: the trace has {len(numbered)} {noun}")
    return [numbered[number - 1]]


COMMAND = Command(
    "show two schedules that disagree, for each finding",
    _add,
    _run,
    "Exit status: 0 no finding is confirmed, 1 one is, 2 wrong usage or unusable input.",
)
