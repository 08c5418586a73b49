"""``streamsan explain``: explain one rule; a prefix lists its family."""

from __future__ import annotations

import argparse

from streamsan.commands import CLEAN, FAILED, Command
from streamsan.commands.arguments import add_format


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="a code, a name, or a prefix such as SO1")
    add_format(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports import catalogue
    from streamsan.checkers.reports.console import emit

    found = catalogue.find_rules(arguments.code)
    if arguments.format == "json":
        text = catalogue.rules_json(found, full=True)
    elif len(found) == 1:
        text = catalogue.explain_text(found[0])
    else:
        text = catalogue.rules_text(found)
    return CLEAN if emit(text) else FAILED


COMMAND = Command("explain a rule", _add, _run)
