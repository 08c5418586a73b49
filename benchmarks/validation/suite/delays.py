"""Delays in the streams of a program that knows nothing of them.

The programs take their device's module from torch. Here they are handed one that does the same,
and keeps streams busy: the current one after each wait for the whole device, or those that the
program makes. What is not ordered after the delayed work then comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

WHERE = ("current", "made")
"""Streams that can be delayed: the current one, or those that the program makes."""


class Delaying:
    """A device's module that delays work.

    Args:
        module: the module.
        where: of ``WHERE``.
        cycles: the length of a delay.
    """

    def __init__(self, module: Any, where: str, cycles: int) -> None:
        self._module, self._where, self._cycles = module, where, cycles
        self._made: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def Stream(self, **options: Any) -> Any:  # noqa: N802 - the name that torch gives it
        """Make a stream."""
        made = self._module.Stream(**options)
        self._made.append(made)
        if self._where == "made":
            self._delay(made)
        return made

    def synchronize(self, *device: Any) -> None:
        """Wait for the device: its streams are busy again from then on."""
        self._module.synchronize(*device)
        for stream in self._made if self._where == "made" else [self._module.current_stream()]:
            self._delay(stream)

    def _delay(self, stream: Any) -> None:
        with self._module.stream(stream):
            self._module._sleep(self._cycles)  # noqa: SLF001


@contextmanager
def delayed(module: Any, where: str, cycles: int) -> Iterator[None]:
    """Delay the streams of the body, which asks torch for its device's module."""
    with module.stream(module.current_stream()):
        plain = torch.get_device_module
        delaying = Delaying(module, where, cycles)
        if where == "current":
            module._sleep(cycles)  # noqa: SLF001
        torch.get_device_module = lambda *_: delaying  # type: ignore[assignment]
        try:
            yield
        finally:
            torch.get_device_module = plain
            module.synchronize()
