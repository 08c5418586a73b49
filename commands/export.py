"""``streamsan export``: write a trace and its findings for another tool's viewer."""

from __future__ import annotations

import argparse

from streamsan.commands import Command
from streamsan.commands.arguments import add_allow_damaged, listed
from streamsan.commands.output import status_of, write_text

TARGETS = ("perfetto",)


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("--to", choices=TARGETS, required=True, help="perfetto: Chrome JSON, for ui.perfetto.dev")
    add("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    add("--edges", choices=("all", "findings", "none"), default="all",
        help="which edges of the order are drawn as arrows: all (default), those at the ops of "
        "findings, or none; a missing order is always drawn")  # fmt: skip
    add("--select", action="append", metavar="CODES", help="rules to run (default ALL)")
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers import check
    from streamsan.checkers.reports.perfetto import chrome_json
    from streamsan.checkers.settings import Settings
    from streamsan.traces import load
    from streamsan.traces.order import HappensBefore

    trace = load(arguments.trace)
    settings = Settings(select=listed(arguments.select), ignore=listed(arguments.ignore))
    findings = check(trace, settings).findings
    text = chrome_json(HappensBefore(trace), findings, arguments.edges).decode()
    failed = write_text(text, arguments.output)
    return failed or status_of(trace, arguments.trace, arguments.allow_damaged)


COMMAND = Command(
    "write a trace for another viewer",
    _add,
    _run,
    "Exit status: 0 the file is written, 2 wrong usage or unusable input (findings: see lint).",
)
