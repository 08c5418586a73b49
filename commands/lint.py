"""``streamsan lint``: check traces."""

from __future__ import annotations

import argparse

from streamsan.commands import STATUS, Command
from streamsan.commands.arguments import add_allow_damaged, add_report, positive, settings_of


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, folders, globs; - for standard input")
    add_report(parser)
    add("--statistics", action="store_true", help="count findings by rule instead of listing them")
    add("--all", action="store_true", help="list every finding, not one a cause")
    add("--jobs", type=positive, metavar="N",
        help="processes (default: one; for large traces one a processor)")  # fmt: skip
    add_allow_damaged(parser)
    add("--semantics", choices=("default", "strict"), default="default",
        help="strict: also report what the weakest promises allow, as possible")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.run import Options, run_lint

    return run_lint(
        Options(
            paths=tuple(arguments.paths),
            settings=settings_of(arguments),
            form=arguments.format,
            fail_on=arguments.fail_on,
            exit_zero=arguments.exit_zero,
            allow_damaged=arguments.allow_damaged,
            statistics=arguments.statistics,
            jobs=arguments.jobs,
        )
    )


COMMAND = Command("check traces", _add, _run, STATUS)
