"""Copies as torch makes them, and what the documents say of each: does the host wait?

Predictions are written from the table of copies in the specification of orders, not from code:

    waits    the host comes after the earlier work of the current stream
    returns  the host does not wait for it
    open     nothing is promised
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from validation.probe import Call

SMALL, STAGED, LARGE, HUGE = 64, 1 << 16, 1 << 20, 1 << 26
SIZES = (SMALL, LARGE, HUGE)
PAGEABLE_SIZES = (SMALL, STAGED, STAGED + 64, LARGE, HUGE)
"""Drivers take up to 64 KB of pageable memory along with the call."""


@dataclass(frozen=True)
class Kind:
    """A kind of copy.

    Args:
        name: what is done.
        rule: of the specification.
        predicted: ``waits``, ``returns`` or ``open``: for the stream that the call works on.
        make: gives the call, for a device and a number of bytes.
        sizes: bytes.
    """

    name: str
    rule: str
    predicted: str
    make: Callable[[str, int], Call]
    sizes: tuple[int, ...] = SIZES


def host(size: int, pinned: bool) -> torch.Tensor:
    """Give host memory with a value in it."""
    return torch.ones(size, dtype=torch.uint8, pin_memory=pinned)


def there(device: str, size: int) -> torch.Tensor:
    """Give device memory with a value in it."""
    return torch.ones(size, dtype=torch.uint8, device=device)


def _upload_copy(pinned: bool, non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source, target = host(size, pinned), there(device, size)
        return lambda: target.copy_(source, non_blocking=non_blocking)

    return make


def _upload_to(pinned: bool, non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source = host(size, pinned)
        return lambda: source.to(device, non_blocking=non_blocking)

    return make


def _download_copy(pinned: bool, non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source, target = there(device, size), host(size, pinned)
        return lambda: target.copy_(source, non_blocking=non_blocking)

    return make


def _download_to(non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source = there(device, size)
        return lambda: source.to("cpu", non_blocking=non_blocking)

    return make


def _within(non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source, target = there(device, size), there(device, size)
        return lambda: target.copy_(source, non_blocking=non_blocking)

    return make


def _peer(non_blocking: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        source, target = there(f"{device}:0", size), there(f"{device}:1", size)
        return lambda: target.copy_(source, non_blocking=non_blocking)

    return make


def _on_host(pinned: bool) -> Callable[[str, int], Call]:
    def make(device: str, size: int) -> Call:
        del device
        source, target = host(size, pinned), host(size, pinned)
        return lambda: target.copy_(source, non_blocking=True)

    return make


def _zero(device: str, size: int) -> Call:
    target = there(device, size)
    return target.zero_


def _zero_pinned(device: str, size: int) -> Call:
    del device
    target = host(size, pinned=True)
    return target.zero_


KINDS: tuple[Kind, ...] = (
    Kind("H2D pageable copy_", "R39", "waits", _upload_copy(False, False), PAGEABLE_SIZES),
    Kind("H2D pageable .to", "R39", "waits", _upload_to(False, False)),
    Kind("H2D pageable copy_ non_blocking", "R22", "returns", _upload_copy(False, True),
         PAGEABLE_SIZES),
    Kind("H2D pageable .to non_blocking", "R22", "returns", _upload_to(False, True),
         PAGEABLE_SIZES),
    Kind("H2D pinned copy_", "R39", "waits", _upload_copy(True, False)),
    Kind("H2D pinned .to", "R39", "waits", _upload_to(True, False)),
    Kind("H2D pinned copy_ non_blocking", "R23", "returns", _upload_copy(True, True)),
    Kind("H2D pinned .to non_blocking", "R23", "returns", _upload_to(True, True)),
    Kind("D2H pageable copy_", "R39", "waits", _download_copy(False, False), PAGEABLE_SIZES),
    Kind("D2H .to cpu", "R39", "waits", _download_to(False)),
    Kind("D2H pageable copy_ non_blocking", "R22", "waits", _download_copy(False, True),
         PAGEABLE_SIZES),
    Kind("D2H .to cpu non_blocking", "R40", "returns", _download_to(True), PAGEABLE_SIZES),
    Kind("D2H pinned copy_", "R39", "waits", _download_copy(True, False)),
    Kind("D2H pinned copy_ non_blocking", "R23", "returns", _download_copy(True, True)),
    Kind("D2D copy_", "R20", "returns", _within(False)),
    Kind("D2D copy_ non_blocking", "R23", "returns", _within(True)),
    Kind("H2H pageable copy_", "a plain CPU copy", "returns", _on_host(False)),
    Kind("H2H pinned copy_", "a plain CPU copy", "returns", _on_host(True)),
    Kind("memset zero_", "R25", "returns", _zero),
    Kind("host zero_ of pinned", "a plain CPU fill", "returns", _zero_pinned),
)  # fmt: skip

PEER: tuple[Kind, ...] = (
    Kind("P2P copy_", "R35", "returns", _peer(False)),
    Kind("P2P copy_ non_blocking", "R35", "returns", _peer(True)),
)


def kinds(module: Any) -> tuple[Kind, ...]:
    """Give the kinds that the devices of this machine can do."""
    return (*KINDS, *PEER) if module.device_count() > 1 else KINDS
