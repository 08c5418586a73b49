"""What a scenario is."""

from __future__ import annotations

from dataclasses import dataclass

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.requests import Ask


@dataclass(frozen=True)
class Expect:
    """A finding that the buggy variant must give.

    Args:
        rule: its rule.
        first: the name of the first op of its pair, with its line, as in ``publish@F``; "" for
            any.
        second: the same of the second, or of the only one.
        buffer: the buffer, without the number that makes its name unique; "" for any or none.
    """

    rule: str
    first: str = ""
    second: str = ""
    buffer: str = ""


@dataclass(frozen=True)
class Scenario:
    """A program with a known bug, and the same without it.

    Args:
        name: what it is called.
        about: the bug in a sentence.
        source: the B-number and the pull requests.
        fixed: what the scheduler is told without the bug.
        asks: the requests.
        buggy: what it is told with the bug; None for a negative control.
        expect: what a checker must find in the buggy variant.
        allow: rules of other true findings of the same cause.
        wrong: what comes of it: ``tokens`` or ``values`` that a directed run changes, ``always``
            if every run is wrong, ``time`` if none is.
    """

    name: str
    about: str
    source: str
    fixed: ServerArgs
    asks: tuple[Ask, ...]
    buggy: ServerArgs | None = None
    expect: tuple[Expect, ...] = ()
    allow: tuple[str, ...] = ()
    wrong: str = "tokens"
