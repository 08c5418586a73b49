"""The arguments of an op, with real tensors in the place of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from streamsan.sim.device.pinned import Pinned, note
from streamsan.sim.device.tensor import NAME, SimTensor
from streamsan.traces import ops as o

_CPU = torch.device("cpu")


class Unwrapped:
    """Arguments with real tensors in the place of ours, and what was found among them."""

    __slots__ = ("args", "kwargs", "mixed", "pinned", "sims")

    def __init__(
        self, args: Sequence[Any], kwargs: dict[str, Any], host: bool = False, mixed: bool = False
    ) -> None:
        self.mixed = mixed
        self.sims: list[SimTensor] = []
        self.pinned: list[Pinned] = []
        take = self._host if host else self._take
        self.args = [take(value) for value in args]
        self.kwargs = {name: take(value) for name, value in kwargs.items()} if kwargs else kwargs

    def _take(self, value: Any) -> Any:
        cls = type(value)
        if cls is SimTensor:
            self.sims.append(value)
            return value.raw
        if cls is int or cls is float or value is None or cls is bool:
            return value
        if cls is list or cls is tuple:
            return [self._take(each) for each in value]
        if isinstance(value, torch.Tensor):
            return self._scalar(value)
        if cls is torch.device and value.type == NAME:
            return _CPU
        return value

    def _scalar(self, value: torch.Tensor) -> torch.Tensor:
        """Take a CPU tensor of one number at the launch; others do not mix with device tensors."""
        if isinstance(value, SimTensor):
            self.sims.append(value)
            return value.raw
        if value.device.type != "cpu" or (value.dim() and not self.mixed):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{NAME} and {value.device}!"
            )
        if isinstance(value, Pinned):
            note(value, o.HostRead, "scalar")
            value = value.raw
        return value.detach().clone()

    def _host(self, value: Any) -> Any:
        if isinstance(value, Pinned):
            self.pinned.append(value)
            return value.raw
        if isinstance(value, list | tuple):
            return [self._host(each) for each in value]
        return value
