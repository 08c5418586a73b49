"""The command ``streamsan``: the hall, from which every command has its door (``commands/``)."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from typing import NoReturn

import streamsan
from streamsan.commands import FAILED, STATUS, commands

SENTENCE = (
    "Happens-before is a partial order; a schedule is one of its linear extensions; a race is a "
    "pair whose order two schedules disagree on."
)
SELDOM = 500_000
"""Objects made between two collections: walking what was just imported is a tenth of a run."""
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    often = gc.get_threshold()
    gc.set_threshold(SELDOM, *often[1:])
    try:
        return _run(_parser().parse_args(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        gc.set_threshold(*often)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import escape_what_the_encoding_lacks, say
    from streamsan.traces.errors import StreamsanError

    escape_what_the_encoding_lacks()
    try:
        status: int = arguments.run(arguments)
    except StreamsanError as error:
        say("error", str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001  (a traceback is no message)
        from streamsan.checkers.reports.outcome import internal

        say("error", internal(error))
        return FAILED
    return status


class _Parser(argparse.ArgumentParser):
    """Tells of wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        from streamsan.checkers.reports.console import say

        say("error", f"{message} (try `{self.prog} --help`)")
        self.exit(FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="streamsan",
        description=f"A sanitizer for stream-ordered CUDA transfers. {SENTENCE}",
        epilog=STATUS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"streamsan {streamsan.__version__}")
    doors = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in commands():
        each = doors.add_parser(name, help=command.help, epilog=command.epilog, allow_abbrev=False)
        command.add(each)
        each.set_defaults(run=command.run)
    return parser
