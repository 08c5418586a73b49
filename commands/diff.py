"""``streamsan diff``: what changed between two traces, or two results of ``lint``."""

from __future__ import annotations

import argparse

from streamsan.commands import CLEAN, FAILED, FOUND, Command
from streamsan.commands.arguments import add_format, add_rules, policy_of


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("old", metavar="OLD", help="a trace, or what `lint --format json` printed")
    add("new", metavar="NEW", help="another one, of the program as it is now")
    add_format(parser)
    add_rules(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.finding import RANK
    from streamsan.checkers.reports import compare
    from streamsan.checkers.reports.console import emit
    from streamsan.checkers.reports.machine import as_json

    policy = policy_of(arguments)
    policy.check()
    old, new = (compare.causes_in(path, policy) for path in (arguments.old, arguments.new))
    found = compare.compare(old, new)
    shape = arguments.format == "json"
    text = as_json(compare.diff_shape(found)) if shape else compare.diff_text(found)
    if not emit(text):
        return FAILED
    least = RANK[policy.threshold]
    bad = any(RANK.get(each.severity, 0) >= least for each in found.new)
    return FOUND if bad and not arguments.exit_zero else CLEAN


COMMAND = Command(
    "compare two traces, or two results of lint", _add, _run,
    "Exit status: 0 nothing new at or above --fail-on, 1 something new, 2 unusable input.",
)  # fmt: skip
