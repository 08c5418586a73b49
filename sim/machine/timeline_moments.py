"""Moments, and how they hang on one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

NOWHERE = -1
"""In place of a moment that is not known."""


class Step(NamedTuple):
    """How a moment hangs on others: it comes ``lag`` after ``first``, ``gap`` after ``others``."""

    first: int
    lag: int
    others: list[int]
    gap: int


@dataclass
class Moments:
    """The network; entry ``i`` of every list is about moment ``i``.

    ``first`` is its call, its beginning, or the call before it; ``others`` is what it has to wait
    for; see ``Step``. ``seen`` is the recorded time in ns, None where there is none.
    """

    first: list[int] = field(default_factory=list)
    others: list[list[int]] = field(default_factory=list)
    lag: list[int] = field(default_factory=list)
    gap: list[int] = field(default_factory=list)
    seen: list[int | None] = field(default_factory=list)
    either: dict[int, list[int]] = field(default_factory=dict)
    """Of a wait on a value: the writes, any of which meets it."""

    def add(self, first: int = NOWHERE, seen: int | None = None) -> int:
        """Add a moment and give its number."""
        self.first.append(first)
        self.others.append([])
        self.lag.append(0)
        self.gap.append(0)
        self.seen.append(seen)
        return len(self.first) - 1

    def step(self, moment: int) -> Step:
        """Give how a moment hangs on others."""
        return Step(self.first[moment], self.lag[moment], self.others[moment], self.gap[moment])

    def __len__(self) -> int:
        """Count the moments."""
        return len(self.first)
