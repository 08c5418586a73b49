"""``streamsan rules``: list the rules."""

from __future__ import annotations

import argparse

from streamsan.commands import CLEAN, FAILED, Command
from streamsan.commands.arguments import add_format


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports import catalogue
    from streamsan.checkers.reports.console import emit

    found = catalogue.find_rules("ALL")
    as_json = arguments.format == "json"
    text = catalogue.rules_json(found) if as_json else catalogue.rules_text(found)
    return CLEAN if emit(text) else FAILED


COMMAND = Command("list the rules", add_format, _run)
