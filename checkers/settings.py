"""The settings that rules see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from streamsan.checkers.finding import Finding
    from streamsan.traces.model import Trace

Switches: TypeAlias = tuple[tuple[str, bool], ...]
Confirm: TypeAlias = "Callable[[Trace, tuple[Finding, ...], Switches], tuple[Finding, ...]]"
"""Takes a trace, its findings, and the switches that replace those of its header."""


@dataclass(frozen=True)
class Settings:
    """Which rules run and how they read a trace.

    Args:
        select: codes or prefixes to run; empty means all.
        ignore: codes or prefixes to leave out.
        semantics: ``default`` takes the header's switches; ``strict`` runs also the reading that
            promises least, and marks findings on which the two differ ``possible``.
        hot_regions: names of the regions that are hot; empty means all.
        unresolved_waits: what a wait of which the trace does not say for what it waits may have
            ordered: everything (what rests on that is left out, and counted) or nothing.
        every: list every finding instead of one a cause.
        switches: semantics switches, by name, that replace those of the header.
        confirm: gives the findings of a trace with what looking into each showed. The hall hands
            it in: rules know no machine that could.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    semantics: Literal["default", "strict"] = "default"
    hot_regions: tuple[str, ...] = ()
    unresolved_waits: Literal["order", "ignore"] = "order"
    every: bool = False
    switches: tuple[tuple[str, bool], ...] = ()
    confirm: Confirm | None = None
