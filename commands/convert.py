"""``streamsan convert``: write a trace in another format."""

from __future__ import annotations

import argparse

from streamsan.commands import Command
from streamsan.commands.arguments import add_allow_damaged
from streamsan.commands.output import status_of


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="A", help="the trace to read; - for standard input")
    add("target", metavar="B", help="the file to write; .gz and .zst compress it")
    add("--to", metavar="NAME", help="the format, where B's suffix does not tell it")
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.traces import load, save

    trace = load(arguments.source)
    save(trace, arguments.target, arguments.to)
    return status_of(trace, arguments.source, arguments.allow_damaged)


COMMAND = Command("write a trace in another format", _add, _run)
