"""Python stacks, interned: innermost user frame first, as the header of a trace has them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType

_OWN = str(Path(__file__).parent)
_DEEPEST = 24
"""Frames kept of a stack: enough to tell two callers apart."""


_TEXTS: dict[tuple[object, ...], tuple[str, ...]] = {}
"""Places in words. They are the same in every run, and cost more than the rest of one."""


def _text(place: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(
        f"{code.co_filename}:{_line(code, lasti)} {code.co_qualname}"
        for code, lasti in zip(place[::2], place[1::2], strict=True)
        if isinstance(code, CodeType) and isinstance(lasti, int)
    )


class Sites:
    """Gives each stack a number. Frames of torch and of this package are left out."""

    def __init__(self, hidden: tuple[str, ...]) -> None:
        self.table: list[tuple[str, ...]] = []
        self._hidden = (_OWN, "<frozen", *hidden)
        self._shown: dict[CodeType, bool] = {}
        self._by_place: dict[tuple[object, ...], int | None] = {}
        self._by_text: dict[tuple[str, ...], int] = {}

    def here(self) -> int | None:
        """Give the number of the calling stack; None where it holds no frame of the user."""
        shown = self._shown
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - ten times as quick as inspect
        key: list[object] = []
        while frame is not None:
            code = frame.f_code
            keep = shown.get(code)
            if keep is None:
                keep = shown[code] = not code.co_filename.startswith(self._hidden)
            if keep:
                key += (code, frame.f_lasti)
                if len(key) >= 2 * _DEEPEST:
                    break
            frame = frame.f_back
        place = tuple(key)
        try:
            return self._by_place[place]
        except KeyError:
            number = self._by_place[place] = self._intern(place)
            return number

    def _intern(self, place: tuple[object, ...]) -> int | None:
        text = _TEXTS.get(place)
        if text is None:
            text = _TEXTS[place] = _text(place)
        if not text:
            return None
        if text not in self._by_text:
            self._by_text[text] = len(self.table)
            self.table.append(text)
        return self._by_text[text]

    def text(self, site: int | None) -> str:
        """Give the innermost user frame of a site."""
        return "an unknown place" if site is None else self.table[site][0]

    def clear(self) -> None:
        """Forget all sites, keep what is known of code."""
        self.table.clear()
        self._by_place.clear()
        self._by_text.clear()


def _line(code: CodeType, lasti: int) -> int:
    """Give the line of an instruction."""
    found = code.co_firstlineno
    for start, stop, line in code.co_lines():
        if start <= lasti < stop and line is not None:
            found = line
    return found
