"""Python stacks: captured raw where an op is issued, put into words where it is written.

A raw stack is a tuple of code objects' ids and instruction offsets; hashing code objects
themselves would cost more than all the rest. Each different one gets a number.
"""

from __future__ import annotations

import sys
from itertools import count
from types import CodeType, FrameType

DEEPEST = 24
"""Frames kept of a stack, unless told otherwise: enough to tell two callers apart."""


class Stacks:
    """Numbers raw stacks. Frames whose files begin with a hidden prefix are left out.

    Args:
        hidden: beginnings of file names.
        deepest: frames to keep; 0 captures nothing.
    """

    def __init__(self, hidden: tuple[str, ...], deepest: int = DEEPEST) -> None:
        self._hidden = ("<frozen", *hidden)
        self._most = 2 * deepest
        self._codes: dict[int, CodeType | None] = {}
        self._kept: list[CodeType] = []
        self._numbers: dict[tuple[int, ...], int] = {}
        self._places: dict[int, tuple[int, ...]] = {}
        self._next = count()

    def here(self) -> int | None:
        """Give the number of the calling stack; None where none of its frames is shown."""
        most = self._most
        if not most:
            return None
        codes = self._codes
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        key: list[int] = []
        while frame is not None:
            code = frame.f_code
            number = id(code)
            try:
                shown = codes[number]
            except KeyError:
                shown = self._judge(code)
            if shown is not None:
                key.append(number)
                key.append(frame.f_lasti)
                if len(key) >= most:
                    break
            frame = frame.f_back
        place = tuple(key)
        try:
            return self._numbers[place]
        except KeyError:
            return self._new(place) if place else None

    def _judge(self, code: CodeType) -> CodeType | None:
        self._kept.append(code)  # lives from here on, so its id stays its own
        shown = None if code.co_filename.startswith(self._hidden) else code
        self._codes[id(code)] = shown
        return shown

    def _new(self, place: tuple[int, ...]) -> int:
        """Number a stack. Without a lock: two numbers for one stack do no harm, words are equal."""
        number = next(self._next)
        self._places[number] = place
        self._numbers[place] = number
        return number

    def text(self, number: int) -> tuple[str, ...]:
        """Give a stack in words, innermost frame first: ``file:line function``."""
        place = self._places[number]
        lines = []
        for code_id, lasti in zip(place[::2], place[1::2], strict=True):
            code = self._codes[code_id]
            if code is not None:
                lines.append(f"{code.co_filename}:{_line(code, lasti)} {code.co_qualname}")
        return tuple(lines)


def _line(code: CodeType, lasti: int) -> int:
    """Give the line of an instruction."""
    found = code.co_firstlineno
    for start, stop, line in code.co_lines():
        if start <= lasti < stop and line is not None:
            found = line
    return found
