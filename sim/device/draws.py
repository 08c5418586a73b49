"""Random numbers: the seed of each random op is drawn on the host at its launch.

As CUDA passes seed and offset to the kernel by value. So no value depends on the schedule, and
two random ops on two streams share no device memory.
"""

from __future__ import annotations

from typing import Any, Self

import torch

from streamsan.sim.device.runtime import RT

_MIX = 0x9E3779B97F4A7C15
_LARGEST = (1 << 63) - 1


class SimGenerator(torch.Generator):
    """A generator of the simulated device; its state lives on the host."""

    index: int

    def __new__(cls, device: Any = "cpu") -> Self:
        """Make a generator of the device's number."""
        plain: Any = super().__new__
        made: Self = plain(cls, device="cpu")
        made.index = torch.device(device).index or 0
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device that the generator draws for."""
        return torch.device("simcuda", self.index)


def draw(device: int, generator: torch.Generator | None) -> int:
    """Draw the seed of one random op."""
    if generator is not None:
        return int(torch.randint(_LARGEST, (), generator=generator).item())
    RT.draws[device] += 1
    return (RT.seeds[device] * _MIX + RT.draws[device]) & _LARGEST


def call_seeded(func: Any, args: Any, kwargs: dict[str, Any], seed: int, takes: bool) -> Any:
    """Run a random op from its seed."""
    if takes:
        generator = torch.Generator().manual_seed(seed)
        return func(*args, **{**kwargs, "generator": generator})
    before = torch.get_rng_state()
    try:
        torch.default_generator.manual_seed(seed)
        return func(*args, **kwargs)
    finally:
        torch.set_rng_state(before)
