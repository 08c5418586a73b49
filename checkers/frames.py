"""Frames of a stack: ``file:line function``, as traces have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_FRAME = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+)|\((?P<kineto>\d+)\):)(?: (?P<function>.*))?")
_LIBRARY = re.compile(r"(^|/)(site-packages|dist-packages|lib/python\d[\d.]*)/|^<")
_NAMELESS = ("__init__.py", "__main__.py")


class Frame(NamedTuple):
    """One frame; ``line`` is 0 where it is not known."""

    file: str
    line: int = 0
    function: str = ""

    @property
    def is_library(self) -> bool:
        """Whether it is code that was installed, not written here."""
        return _LIBRARY.search(self.file) is not None

    @property
    def stem(self) -> str:
        """The file without the folders that differ between machines."""
        parts = self.file.replace("\\", "/").split("/")
        return "/".join(parts[-2 if parts[-1] in _NAMELESS else -1 :])


@lru_cache(1 << 16)
def parse(text: str) -> Frame:
    """Read one frame; what has another form is a file without a line."""
    found = _FRAME.fullmatch(text)
    if found is None:
        return Frame(text)
    line = found["line"] or found["kineto"]
    return Frame(found["file"], int(line[:9]), found["function"] or "")


def own(stack: Iterable[str]) -> list[Frame]:
    """Give the frames of the user's code, innermost first; all of them where there are none."""
    frames = [parse(text) for text in stack]
    return [frame for frame in frames if not frame.is_library] or frames
