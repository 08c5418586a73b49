"""``streamsan stats``: what traces did and what it cost."""

from __future__ import annotations

import argparse

from streamsan.commands import CLEAN, FAILED, Command
from streamsan.commands.arguments import add_allow_damaged, add_format, natural, positive


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("traces", nargs="+", metavar="TRACE", help="the traces; - for standard input")
    add_format(parser)
    add("--gap-ms", type=natural, default=500, metavar="MS",
        help="a device idle for longer counts as a gap (default 500)")  # fmt: skip
    add("--chunks", type=positive, default=30, metavar="N",
        help="pieces of a device's time whose utilisation is looked at (default 30)")  # fmt: skip
    add("--utilisation", type=natural, default=50, metavar="PERCENT",
        help="below which a piece counts as low (default 50)")  # fmt: skip
    add("--small-upload", type=natural, default=65536, metavar="BYTES",
        help="blocking uploads of at most so many bytes do not count (default 65536)")  # fmt: skip
    add("--overlap", type=natural, default=50, metavar="PERCENT",
        help="of transfer time beside compute, below which it is low (default 50)")  # fmt: skip
    add_allow_damaged(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import emit
    from streamsan.checkers.reports.stats import Counting
    from streamsan.checkers.reports.stats_advice import Thresholds, advise
    from streamsan.checkers.reports.stats_show import stats_json, stats_text
    from streamsan.commands.output import status_of
    from streamsan.traces import load

    limits = Thresholds(
        arguments.gap_ms * 10**6, arguments.chunks, arguments.utilisation,
        arguments.small_upload, arguments.overlap,
    )  # fmt: skip
    status, found = CLEAN, []
    for path in arguments.traces:
        trace = load(path)
        counting = Counting(trace)
        found.append((counting.stats(), advise(counting, limits)))
        status = max(status, status_of(trace, path, arguments.allow_damaged))
    if arguments.format == "json":
        text = stats_json(found)
    else:
        text = "\n".join(stats_text(stats, advices) for stats, advices in found)
    return status if emit(text) else FAILED


COMMAND = Command("tell what traces did and what it cost", _add, _run)
