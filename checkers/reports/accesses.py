"""The accesses of a finding, side by side: op, line, thread, and the innermost frames."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from streamsan.checkers.reports.console import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FRAMES = 5
"""Innermost frames shown of each stack; the others are counted."""
GAP = " | "
NARROW = 30
"""Below this width of a column the accesses stand one below the other."""
_LETTERS = "ABCDEFGH"


def access_lines(accesses: Sequence[Mapping[str, Any]], width: int) -> Iterator[Text]:
    """Lay out accesses in two columns, or in one where there is one or no room for two."""
    column = (width - len(GAP)) // 2
    single = len(accesses) == 1 or column < NARROW
    cells = [
        _cell(letter if len(accesses) > 1 else "", access, width if single else column)
        for letter, access in zip(_LETTERS, accesses, strict=False)
    ]
    if single:
        for cell in cells:
            yield from cell
        return
    for i in range(0, len(cells), 2):
        for left, right in zip_longest(cells[i], cells[i + 1] if i + 1 < len(cells) else []):
            line = left or Text()
            line.append(" " * (column - line.cell_len)).append(GAP, "dim")
            yield line.append_text(right) if right else line


def _cell(letter: str, access: Mapping[str, Any], width: int) -> list[Text]:
    """Describe one access in lines of at most ``width`` columns."""
    margin = f"{letter}  " if letter else ""
    room = width - len(margin)
    lines = [
        Text.assemble((margin, "bold"), (fit(_title(access), room), "bold")),
        *(Text(" " * len(margin) + fit(words, room)) for words in _whereabouts(access)),
    ]
    stack = [str(frame) for frame in access.get("stack") or ()]
    lines += [Text(" " * len(margin) + fit_end(frame, room), "dim") for frame in stack[:FRAMES]]
    if len(stack) > FRAMES:
        lines.append(Text(f"{' ' * len(margin)}... {len(stack) - FRAMES} more", "dim"))
    return lines


def _title(access: Mapping[str, Any]) -> str:
    name, word = str(access.get("name", "")), str(access.get("word", ""))
    return f"op {access.get('op')}  {name}" + (f" ({word})" if word and word != name else "")


def _whereabouts(access: Mapping[str, Any]) -> Iterator[str]:
    """Say what the access does and on which line, and who issued it."""
    line, thread = str(access.get("line", "")), str(access.get("thread", ""))
    place = f"on {line}" if ":" in line or not line else f"on stream {line}"
    yield f"{access.get('does') or ''} {place}".strip()
    issued = f"issued by {thread}" if thread and line != f"host:{thread}" else ""
    via = f"via {access['via']}" if access.get("via") else ""
    if issued or via:
        yield ", ".join(filter(None, (issued, via)))


def fit(text: str, width: int) -> str:
    """Cut a text to a width; a stack of wide characters counts as what it takes on screen."""
    text = visible(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 3, 0)).rstrip() + "..."


def fit_end(text: str, width: int) -> str:
    """Cut a text to a width, its end being what matters: the file, the line and the function."""
    text = visible(text)
    if cell_len(text) <= width:
        return text
    keep = text[-width:]
    while cell_len(keep) > width - 3:
        keep = keep[1:]
    return "..." + keep
