"""What a part of the validation is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from validation.folder import Folder


@dataclass(frozen=True)
class Context:
    """What a part is told.

    Args:
        device: ``cuda``, or ``simcuda`` for a rehearsal without a GPU.
        folder: where results are kept.
        tries: runs of a fixed program that must not fail.
        jobs: processes that may use the device at the same time.
        only: scenarios to look at; all of them if empty.
        deadline: ``time.monotonic`` by which the part should end.
    """

    device: str
    folder: Folder
    tries: int = 1000
    jobs: int = 1
    only: tuple[str, ...] = ()
    deadline: float = field(default=float("inf"))

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.deadline - time.monotonic()

    @property
    def module(self) -> Any:
        """``torch.cuda``, or what stands for it."""
        import torch

        return getattr(torch, self.device)


Result = dict[str, Any]
"""What a part found, as JSON. ``good`` says whether all is as predicted, ``rows`` holds a table."""


class Unfinished(Exception):  # noqa: N818 - nothing went wrong
    """Time is up. What was measured is kept, and the next run goes on from there."""


@dataclass(frozen=True)
class Part:
    """One part.

    Args:
        name: of the part, and of its file.
        about: what it asks, in a sentence.
        run: measures. Raises ``Unfinished`` when time is up.
        seconds: what it takes on one GPU, about.
        rehearsed: whether it also runs on the simulated device.
    """

    name: str
    about: str
    run: Callable[[Context], Result]
    seconds: int
    rehearsed: bool = True
