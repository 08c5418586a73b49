"""Runs side by side: time goes down, and every line of the program has a lane of its own.

What is shown comes as plain values: who runs the program and tells its runs is the caller's
business. Names from a trace are untrusted, and go through ``visible``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import NamedTuple

from rich.text import Text

from streamsan.checkers.reports.accesses import fit
from streamsan.checkers.reports.console import make_console, render, visible

LEAST_LANE = 18
"""Columns below which a lane says nothing: runs then stand one below the other."""
BETWEEN = " | "
INDENT = "  "


class Event(NamedTuple):
    """What one line did; ``got`` is what it read. A lane of -1 is a remark of its own."""

    lane: int
    words: str
    got: str = ""


class Run(NamedTuple):
    """A run after the beginning that it shares with the others."""

    title: str
    events: tuple[Event, ...]


class Lanes(NamedTuple):
    """Runs that agree in ``common`` and then part."""

    names: tuple[str, ...]
    common: tuple[Event, ...]
    runs: tuple[Run, ...]


def lanes_text(heading: Sequence[str], lanes: Lanes, closing: Sequence[str]) -> str:
    """Draw runs side by side, or one below the other where there is no room."""
    console = make_console()
    return render(console, _lines(heading, lanes, closing, console.width))


def _lines(
    heading: Sequence[str], lanes: Lanes, closing: Sequence[str], width: int
) -> Iterator[Text]:
    for words in heading:
        yield from _paragraph(words, width, "bold")
    if lanes.names:
        yield Text()
        yield from _drawn(lanes, width)
        yield Text()
    for words in closing:
        yield from _paragraph(words, width)


def _paragraph(words: str, width: int, style: str = "") -> Iterator[Text]:
    for line in wrap(visible(words), width, subsequent_indent=INDENT) or [""]:
        yield Text(line, style)


def _drawn(lanes: Lanes, width: int) -> Iterator[Text]:
    count = len(lanes.runs)
    side = (width - len(BETWEEN) * (count - 1)) // count
    if count > 1 and side // len(lanes.names) < LEAST_LANE:
        for run in lanes.runs:
            yield from _beside(lanes, (run,), width)
            yield Text()
    else:
        yield from _beside(lanes, lanes.runs, side)


def _beside(lanes: Lanes, runs: Sequence[Run], side: int) -> Iterator[Text]:
    """Draw some of the runs in columns of equal width."""
    yield _row([Text(fit(run.title, side), "bold") for run in runs], side)
    yield _row([_lane_names(lanes, side) for _ in runs], side)
    yield _row([Text("-" * side, "dim") for _ in runs], side)
    for event in lanes.common:
        for line in _event(event, lanes, side):
            yield _row([line for _ in runs], side)
    if lanes.common and len(lanes.runs) > 1:
        yield _row([Text("- - here the runs part ".ljust(side, "-")[:side], "dim") for _ in runs],
                   side)  # fmt: skip
    columns = [[line for e in run.events for line in _event(e, lanes, side)] for run in runs]
    for lines in zip_longest(*columns, fillvalue=None):
        yield _row([line or Text() for line in lines], side)


def _row(cells: Sequence[Text], side: int) -> Text:
    line = Text()
    for turn, cell in enumerate(cells):
        if turn:
            line.append(BETWEEN, "dim")
        line.append_text(cell)
        if turn < len(cells) - 1:
            line.append(" " * max(side - cell.cell_len, 0))
    return line


def _lane_names(lanes: Lanes, side: int) -> Text:
    lane = side // len(lanes.names)
    return Text("".join(fit(name, lane - 1).ljust(lane) for name in lanes.names).rstrip(), "bold")


def _event(event: Event, lanes: Lanes, side: int) -> list[Text]:
    """Draw one event in its lane; a remark goes over all of them."""
    if event.lane < 0:
        return [Text(fit(event.words, side), "dim")]
    lane = side // len(lanes.names)
    room = max(lane - 1, 8)
    margin = " " * (lane * event.lane)
    lines = [Text(margin + part) for part in wrap(visible(event.words), room)]
    if event.got:
        got = wrap(f"-> {visible(event.got)}", room, subsequent_indent="   ")
        lines += [Text.assemble(margin, (part, "bold magenta")) for part in got]
    return lines
