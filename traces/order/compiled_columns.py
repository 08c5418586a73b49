"""The state of a walk as arrays: what kernels fill in runs and Python methods one by one."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]

ABSENT = -2


class GrowingColumn:
    """A column of integers that grows; ``data`` is longer than what is in use."""

    def __init__(self, data: Ints) -> None:
        """Start with a copy of ``data``."""
        self.count = len(data)
        self.data = np.array(data, np.int32, order="C")

    def __getitem__(self, index: int, /) -> int:
        """Read one."""
        return int(self.data[index])

    def __setitem__(self, index: int, value: int, /) -> None:
        """Write one."""
        self.data[index] = value

    def __len__(self) -> int:
        """Count those in use."""
        return self.count

    def append(self, value: int, /) -> None:
        """Add one at the end."""
        if self.count == len(self.data):
            self.reserve(self.count + 64)
        self.data[self.count] = value
        self.count += 1

    def reserve(self, capacity: int) -> None:
        """Make room; memory that is never written is never taken."""
        if capacity > len(self.data):
            data = np.empty(max(capacity, 2 * len(self.data)), np.int32)
            data[: self.count] = self.data[: self.count]
            self.data = data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Give those in use."""
        return np.array(self.data[: self.count], dtype, copy=copy)


class IndexMap(MutableMapping[int, int]):
    """A mapping from small integers to integers from -1 up, as one array."""

    def __init__(self, size: int) -> None:
        """Start empty; keys are 0 to ``size - 1``."""
        self.data = np.full(size, ABSENT, np.int32)

    def __getitem__(self, key: int) -> int:
        """Read one."""
        value = int(self.data[key]) if 0 <= key < len(self.data) else ABSENT
        if value == ABSENT:
            raise KeyError(key)
        return value

    def __setitem__(self, key: int, value: int) -> None:
        """Write one."""
        self.data[key] = value

    def __delitem__(self, key: int) -> None:
        """Remove one."""
        self[key]
        self.data[key] = ABSENT

    def __iter__(self) -> Iterator[int]:
        """Go through the keys in ascending order."""
        keys: list[int] = np.flatnonzero(self.data != ABSENT).tolist()
        return iter(keys)

    def __len__(self) -> int:
        """Count the keys."""
        return int(np.count_nonzero(self.data != ABSENT))
