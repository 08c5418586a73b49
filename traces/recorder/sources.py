"""Devices that keep a record of their own: where one is installed, it is what is recorded.

The simulated device registers itself here when it is installed. Nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from streamsan.traces import ops as o
from streamsan.traces.recorder.journal import Journal


class Watch(Protocol):
    """A recording in progress, as its device sees it."""

    def text(self, number: int) -> tuple[str, ...]:
        """Give a stack in words by the number that an op's ``site`` holds."""
        ...

    def begin(self, journal: Journal) -> None:
        """Put every op into the journal from now on; first what lives already."""

    def end(self) -> None:
        """Put no more.

        Raises:
            RecordError: something that was to be seen was not.
        """

    def header(self) -> o.Header:
        """Give what the header says of the machine."""
        ...


Make = Callable[[int], Watch]
"""Makes a watch that captures stacks of so many frames."""
_SOURCES: list[Make] = []


def register(make: Make) -> None:
    """Let recordings go through a device's own record from now on."""
    if make not in _SOURCES:
        _SOURCES.append(make)


def registered() -> Make | None:
    """Give the device that registered last."""
    return _SOURCES[-1] if _SOURCES else None
