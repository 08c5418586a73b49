"""The cost scenarios, as they are and wide: the same bug where the forward pass takes its time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from streamsan.sim.scheduler import model
from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scenarios import all_scenarios
from streamsan.sim.scheduler.scenarios.scenario import Scenario

FIRST = ("hidden_d2h_redundant", "logits_index_blocking", "seqlens_chainblock", "penalty_blocking")
"""The three pull requests that the measuring is for, and the plainest of the others."""
WIDE = (*FIRST, "boolmask_penalizer")
AT_LEAST = ("swa_unique", "scalar_fill")
"""Their fixes also do the rest of the work in another way: more may be saved than the wait."""
_REQUESTS = 8
_WAVE = 2
"""Requests that arrive together; the next ones come four steps later, so there are prefills."""
_PROMPT = 8
_NEW = 12
_SIZES = {"rows": 10, "context": 64, "slots": 480, "max_running": _REQUESTS}
_WIDEST = 16384
_SHARE = 6
"""The weights may take this part of the memory that is free."""


@dataclass(frozen=True)
class Case:
    """A scenario at one scale.

    Args:
        scenario: the scenario.
        buggy: what the scheduler is told with the bug.
        fixed: what it is told without.
        asks: the requests.
        wide: whether the model is wider than the scenario's.
    """

    scenario: Scenario
    buggy: ServerArgs
    fixed: ServerArgs
    asks: tuple[Ask, ...]
    wide: bool = False

    @property
    def scale(self) -> str:
        """Name the scale."""
        return f"width {self.fixed.width}" if self.wide else "as it is"

    @property
    def at_least(self) -> bool:
        """Whether the fix saves more than what is predicted to go."""
        return self.scenario.name in AT_LEAST


def cases(width: int, only: tuple[str, ...] = ()) -> list[Case]:
    """Give the cases, those that matter most first."""
    costs = [each for each in all_scenarios() if each.wrong == "time"]
    costs = [each for each in costs if not only or each.name in only]
    costs.sort(key=lambda each: FIRST.index(each.name) if each.name in FIRST else len(FIRST))
    plain, wide = [], []
    sizes = {**_SIZES, "width": width}
    for each in costs:
        if each.buggy is None:
            continue
        plain.append(Case(each, each.buggy, each.fixed, each.asks))
        if each.name in WIDE:
            wide.append(
                Case(each, each.buggy.but(**sizes), each.fixed.but(**sizes), _many(each), wide=True)
            )
    return [*plain[: len(FIRST)], *wide, *plain[len(FIRST) :]]


def _many(scenario: Scenario) -> tuple[Ask, ...]:
    """Give more requests of the same kind. A grammar would make the host wait in each step."""
    return tuple(
        replace(
            scenario.asks[i % len(scenario.asks)],
            prompt=tuple((7 * i + 3 * k) % model.VOCABULARY for k in range(_PROMPT)),
            new_tokens=_NEW,
            arrives=4 * (i // _WAVE),
            grammar=None,
        )
        for i in range(_REQUESTS)
    )


def widest(free: int | None) -> int:
    """Give the width whose weights fit; without a GPU one that a CPU computes quickly."""
    if free is None:
        return 64
    width = _WIDEST
    while (
        width > ServerArgs().width and 80 * width * width > free // _SHARE
    ):  # ten squares of float64
        width //= 2
    return width


def weights(args: ServerArgs, device: str) -> model.Model:
    """Draw weights on the device: what the model says does not matter, only how long it takes."""
    width, inner = args.width, args.width // 8

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64, device=device).div_(shape[0] ** 0.5)

    torch.manual_seed(18)
    layers = [
        model.Layer(draw(width, 3 * width), draw(width, width), draw(width, inner),
                    draw(inner, width))
        for _ in range(2)
    ]  # fmt: skip
    return model.Model(draw(model.VOCABULARY, width), draw(args.context, width),
                       (layers[0], layers[1]), draw(width, model.VOCABULARY))  # fmt: skip
