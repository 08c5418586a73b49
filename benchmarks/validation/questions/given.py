"""Questions on calls of torch: do they wait for the work of the current stream?

``rule`` is the rule of the specification that answers, and ``unknown`` where none does; then
nothing is predicted. ``R2`` stands for a plain launch, ``section 5`` for the list of what torch
puts on top.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from validation.part import Context
from validation.probe import Call, Make

Does = Callable[["Given"], object]
_SKIPPED = 7


class Given:
    """What the calls work on, made anew for each question.

    Args:
        device: ``cuda`` or ``simcuda``.
    """

    def __init__(self, device: str) -> None:
        self.d = device
        self.x = torch.arange(1024.0, device=device)
        self.grid = torch.arange(64.0, device=device).view(8, 8)
        self.mask = self.x > _SKIPPED
        self.idx = torch.tensor([3, 1, 2], device=device)
        self.one = torch.tensor(2, device=device)
        self.cpu = torch.arange(1024.0)
        self.cpu_idx = torch.tensor([3, 1, 2])
        self.cpu_one = torch.tensor(2.0)
        self.cpu_mask = self.cpu > _SKIPPED
        self.pinned = torch.arange(1024.0).pin_memory()
        self.blocks: list[torch.Tensor] = []


@dataclass(frozen=True)
class Question:
    """A question.

    Args:
        name: the call, as one writes it.
        rule: of the specification.
        predicted: ``waits``, ``returns`` or ``open``.
        does: the call.
    """

    name: str
    rule: str
    predicted: str
    does: Does

    def make(self, device: str) -> Call:
        """Give the call on things of its own."""
        given = Given(device)
        return lambda: self.does(given)


def assigns(index: Callable[[Given], Any], value: Callable[[Given], Any]) -> Does:
    """Give ``x[index] = value``."""

    def does(g: Given) -> None:
        g.x[index(g)] = value(g)

    return does


def zero(g: Given) -> float:
    """Give the number 0."""
    del g
    return 0.0


def waits(rule: str, **does: Does) -> list[Question]:
    """Give questions whose answer is predicted: the call waits."""
    return [Question(name, rule, "waits", do) for name, do in does.items()]


def returns(rule: str, **does: Does) -> list[Question]:
    """Give questions whose answer is predicted: the call does not wait."""
    return [Question(name, rule, "returns", do) for name, do in does.items()]


def unknown(**does: Does) -> list[Question]:
    """Give questions that no rule answers."""
    return [Question(name, "unknown", "open", do) for name, do in does.items()]


def warned(context: Context, make: Make, current: Any) -> bool | None:
    """Tell whether torch's own ``set_sync_debug_mode`` warns of a call; None if it cannot."""
    if context.device != "cuda":
        return None
    module = context.module
    with module.stream(current):
        call = make()
        module.synchronize()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.set_sync_debug_mode("warn")
            try:
                kept = call()
            finally:
                module.set_sync_debug_mode("default")
        module.synchronize()
        del kept
    return any("called a synchronizing" in str(each.message) for each in caught)
