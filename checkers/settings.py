"""The settings that rules see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Which rules run and how they read a trace.

    Args:
        select: codes or prefixes to run; empty means all.
        ignore: codes or prefixes to leave out.
        semantics: ``default`` takes the header's switches; ``strict`` runs also the reading that
            promises least, and marks findings on which the two differ ``possible``.
        hot_regions: names of the regions that are hot; empty means all.
        every: list every finding instead of one a cause.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    semantics: Literal["default", "strict"] = "default"
    hot_regions: tuple[str, ...] = ()
    every: bool = False
