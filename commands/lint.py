"""``streamsan lint``: check traces."""

from __future__ import annotations

import argparse

from streamsan.commands import STATUS, Command
from streamsan.commands.arguments import (
    add_allow_damaged,
    add_outputs,
    add_report,
    options_of,
    positive,
)


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, folders, globs; - for standard input")
    add_report(parser)
    add_outputs(parser)
    add("--statistics", action="store_true", help="count findings by rule instead of listing them")
    add("--all", action="store_true", help="list every finding, not one a cause")
    add("--confirm", action="store_true", dest="witnesses",
        help="look for two schedules that disagree, for each hazard")  # fmt: skip
    add("--jobs", type=positive, metavar="N",
        help="processes (default: one; for large traces one a processor)")  # fmt: skip
    add_allow_damaged(parser)
    add("--semantics", choices=("default", "strict"),
        help="strict: also report what the weakest promises allow, as possible")  # fmt: skip
    add("--unresolved-waits", choices=("order", "ignore"), default="order",
        help="what a wait that a profile cannot resolve may have ordered: everything (default; "
        "what rests on it is counted as unknown), or nothing")  # fmt: skip
    add("--with-et", action="append", default=[], metavar="ET",
        help="a PyTorch execution trace of the same run as PATH, which knows reads and writes; "
        "one for each PATH, in the same order")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from streamsan.checkers.reports.run import run_lint

    options = options_of(arguments, arguments.paths)
    return run_lint(replace(options, executions=tuple(arguments.with_et)))


COMMAND = Command("check traces", _add, _run, STATUS)
