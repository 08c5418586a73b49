"""Tables of names and ranges: each distinct one is kept once and known by its index."""

from __future__ import annotations

from typing import Any

from streamsan.traces import ops as o
from streamsan.traces.model import WHOLE
from streamsan.traces.ranges import bounding_box

MAX_SIZE = 2**53
"""The largest offset or length, in bytes, that a range may have."""


class Names(dict[Any, int]):
    """Interned names; an integer and its decimal string are the same name, None is -1."""

    def __init__(self) -> None:
        """Start with no names."""
        super().__init__()
        self.table: list[str] = []
        self[None] = -1

    def __missing__(self, key: Any) -> int:
        if not isinstance(key, str):
            index = self[str(key)]
        else:
            index = len(self.table)
            self.table.append(key)
        self[key] = index
        return index


class RangeTable(dict[Any, int]):
    """Distinct ranges; the key is the range as the file gives it.

    Looking up a range that contradicts the format raises ValueError.
    """

    def __init__(self, names: Names) -> None:
        """Start with no ranges; their buffers' names go into ``names``."""
        super().__init__()
        self._names = names
        self.rows: list[tuple[int, int, int, int]] = []
        self.views: list[o.StridedRange] = []

    def __missing__(self, key: Any) -> int:
        index = len(self.rows)
        if isinstance(key, str):
            self.rows.append((self._names[key], 0, WHOLE, -1))
        elif isinstance(key, tuple):
            name, offset, length = key
            if not 0 <= offset <= MAX_SIZE or not 0 <= length <= MAX_SIZE:
                raise ValueError(
                    f"range [{offset}, {length}]: offset and length must be 0 to 2**53"
                )
            self.rows.append((self._names[name], offset, length, -1))
        else:
            low, high = bounding_box(key)
            self.rows.append((self._names[key.buffer], low, high - low, len(self.views)))
            self.views.append(key)
        self[key] = index
        return index
