"""Requests that the scenarios share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamsan.sim.scheduler.requests import Ask

LONG, SHORT, MIDDLE, TINY = (3, 1, 4, 1, 5, 9, 2, 6), (2, 7, 1, 8), (1, 6, 1, 8, 0, 3, 3), (5, 5, 5)

TWO = (Ask(LONG, 5), Ask(SHORT, 4))
"""Two requests that start together."""
STAGGERED = (Ask(LONG, 6), Ask(SHORT, 4, arrives=1), Ask(MIDDLE, 5, arrives=3))
"""Three that come one after another."""
CROWD = (Ask(LONG, 3), Ask(SHORT, 6), Ask(MIDDLE, 4), Ask(TINY, 4))
"""More than two rows hold: rows are handed on."""


def with_all(asks: tuple[Ask, ...], **changes: Any) -> tuple[Ask, ...]:
    """Change something in every request."""
    return tuple(replace(ask, **changes) for ask in asks)


def alternate(last: int) -> int:
    """Allow even tokens after odd ones, and odd ones after even ones."""
    return (last + 1) % 2
