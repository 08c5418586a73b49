"""The device, its streams, and the host's ways to wait: what a scheduler issues its work to.

S is the schedule stream, on which the whole loop runs; F the forward stream; C the copy stream;
P the private stream of the ``seq_lens`` pull (``fwd_prepare_d2h_stream``).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

import streamsan


class Device:
    """A device by its name, ``simcuda`` or ``cuda``, and torch's module for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module: Any = getattr(torch, name)

    def stream(self, name: str) -> Any:
        """Make a stream that goes by a name in traces."""
        with streamsan.named(name):
            return self.module.Stream()

    def event(self, name: str) -> Any:
        """Make an event that goes by a name in traces."""
        with streamsan.named(name):
            return self.module.Event()

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """Make a stream current."""
        context: AbstractContextManager[Any] = self.module.stream(stream)
        return context

    def current(self) -> Any:
        """Give the current stream."""
        return self.module.current_stream()

    def synchronize(self) -> None:
        """Wait for all of it."""
        self.module.synchronize()

    def empty(self, name: str, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
        """Allocate on the device."""
        with streamsan.named(name):
            return torch.empty(shape, dtype=dtype, device=self.name)

    def zeros(self, name: str, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
        """Allocate zeros on the device."""
        with streamsan.named(name):
            return torch.zeros(shape, dtype=dtype, device=self.name)

    def pinned(
        self, name: str, values: list[int], dtype: torch.dtype = torch.int64
    ) -> torch.Tensor:
        """Make a pinned tensor of values."""
        with streamsan.named(name):
            return torch.tensor(values, dtype=dtype, pin_memory=True)

    def upload(
        self, name: str, values: list[int], dtype: torch.dtype = torch.int64
    ) -> torch.Tensor:
        """Upload values by way of a pinned temporary; the host does not wait (R38)."""
        staging = self.pinned(f"{name}_cpu", values, dtype)
        with streamsan.named(name):
            return staging.to(self.name, non_blocking=True)

    def blocking_upload(self, name: str, values: list[int]) -> torch.Tensor:
        """Upload a list as ``torch.tensor(list, device=...)`` does: the host waits (R19)."""
        with streamsan.named(name):
            return torch.tensor(values, dtype=torch.int64, device=self.name)


class Streams:
    """S, F, C and P of one scheduler.

    Raises:
        RuntimeError: two of them are the same: torch's pool of streams has come round, and every
            race between these two would be invisible.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._handles: dict[int, str] = {}
        self.S, self.F, self.C, self.P = (self.more(name) for name in "SFCP")

    def more(self, name: str) -> Any:
        """Make one more stream, for a path that has one of its own."""
        stream = self.device.stream(name)
        other = self._handles.setdefault(stream.cuda_stream, name)
        if other != name:
            raise RuntimeError(f"the streams {other} and {name} are one")
        return stream

    def name_of(self, stream: Any) -> str:
        """Give the name of a stream; the default stream has none."""
        return self._handles.get(stream.cuda_stream, "")
