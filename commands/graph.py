"""``streamsan graph``: write the happens-before graph of a trace."""

from __future__ import annotations

import argparse

from streamsan.commands import Command
from streamsan.commands.arguments import add_allow_damaged, add_format, natural
from streamsan.commands.output import status_of, write_text

FORMS = ("graphml", "dot", "json")


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("--around", type=natural, metavar="OP", help="only what lies near this op")
    add("--radius", type=natural, metavar="N", default=3, help="how near, in edges (default 3)")
    add_format(parser, FORMS)
    add("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    import io

    from streamsan.traces import load
    from streamsan.traces.order import HappensBefore
    from streamsan.traces.order.export import around, to_networkx, write_graph

    trace = load(arguments.trace)
    found = to_networkx(HappensBefore(trace))
    if arguments.around is not None:
        found = around(found, arguments.around, arguments.radius)
    text = io.StringIO()
    write_graph(found, arguments.format, text)
    failed = write_text(text.getvalue(), arguments.output)
    return failed or status_of(trace, arguments.trace, arguments.allow_damaged)


COMMAND = Command("write the graph", _add, _run)
