"""``streamsan fix``: add the synchronisation that findings ask for, and check the result."""

from __future__ import annotations

import argparse

from streamsan.commands import CLEAN, FAILED, FOUND, Command
from streamsan.commands.arguments import add_allow_damaged, add_format
from streamsan.commands.output import status_of


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("-o", "--output", metavar="FIXED", help="write the fixed trace to this file")
    add("--remove-redundant", action="store_true",
        help="also leave out waits that order nothing which conflicts, or nothing new")  # fmt: skip
    add_format(parser)
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.fix import apply_fixes
    from streamsan.checkers.fix_all import mend, needless, without_needless
    from streamsan.checkers.reports.console import emit
    from streamsan.commands.hall import fixing
    from streamsan.traces import load, save

    trace = load(arguments.trace)
    mended = mend(trace)
    if arguments.remove_redundant:
        final, waits = without_needless(mended.edited.trace)
    else:
        final, waits = apply_fixes(mended.edited.trace, []), needless(mended.edited.trace)
    result = fixing.Result(
        arguments.trace, arguments.output, mended, final,
        tuple(fixing.slack(mended.edited, waits)), arguments.remove_redundant,
        fixing.agreement(mended, final.trace),
    )  # fmt: skip
    if arguments.output is not None:
        save(final.trace, arguments.output)
    write = fixing.as_json if arguments.format == "json" else fixing.as_text
    if not emit(write(result)):
        return FAILED
    damaged = status_of(trace, arguments.trace, arguments.allow_damaged)
    bad = mended.left or mended.new or not result.agreement.agrees
    return damaged or (FOUND if bad else CLEAN)


COMMAND = Command(
    "add the synchronisation that findings ask for",
    _add,
    _run,
    "Exit status: 0 no hazard is left, 1 one is, 2 wrong usage or unusable input.",
)
