"""Copies, memsets and allocations by the CUDA runtime itself: what the documents speak of.

A synchronous call works on the legacy default stream, an asynchronous one on the stream that it
is given: that is the stream which ``predicted`` is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from validation.copies.kinds import HUGE, LARGE, PAGEABLE_SIZES, SIZES, SMALL, host, there
from validation.copies.runtime import KINDS, Runtime
from validation.probe import Call


@dataclass(frozen=True)
class Raw:
    """A kind of runtime call.

    Args:
        name: the function, direction and memory.
        rule: of the specification.
        predicted: ``waits``, ``returns`` or ``open``, for the stream that the call works on.
        elsewhere: the same for a non-blocking stream that it does not work on.
        make: gives the call, for a number of bytes and the handle of a stream.
        legacy: whether it works on the legacy default stream, whatever is current.
        sizes: bytes.
    """

    name: str
    rule: str
    predicted: str
    make: Callable[[Runtime, int, int], Call]
    elsewhere: str = "returns"
    legacy: bool = True
    sizes: tuple[int, ...] = SIZES


_SYNC = {
    "H2D pageable": ("R17", "waits"), "H2D pinned": ("R18", "waits"),
    "D2H pageable": ("R19", "waits"), "D2H pinned": ("R19", "waits"),
    "D2D": ("R20", "returns"), "H2H pageable": ("R21", "waits"), "H2H pinned": ("R21", "waits"),
}  # fmt: skip
_ASYNC = {
    "H2D pageable": ("R22", "returns"), "H2D pinned": ("R23", "returns"),
    "D2H pageable": ("R22", "waits"), "D2H pinned": ("R23", "returns"),
    "D2D": ("R23", "returns"), "H2H pageable": ("R21", "waits"), "H2H pinned": ("R21", "waits"),
}  # fmt: skip
_SETS = {"device": ("R25", "returns"), "pinned": ("R25", "waits")}
_HELD = 8
"""Blocks to free that are allocated beforehand: as many as a probe can ask for."""


def _ends(what: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give target and source of a copy such as ``H2D pageable``."""
    direction, pinned = what[:3], what.endswith("pinned")
    source = there("cuda", size) if direction[0] == "D" else host(size, pinned)
    target = there("cuda", size) if direction[2] == "D" else host(size, pinned)
    return target, source


def _copy(what: str, asynchronous: bool) -> Callable[[Runtime, int, int], Call]:
    def make(runtime: Runtime, size: int, stream: int) -> Call:
        target, source = _ends(what, size)
        kind = KINDS[what[:3]]

        def call() -> object:
            given = (target.data_ptr(), source.data_ptr(), size, kind)
            if asynchronous:
                runtime.call("cudaMemcpyAsync", *given, stream)
            else:
                runtime.call("cudaMemcpy", *given)
            return target, source

        return call

    return make


def _set(memory: str, asynchronous: bool) -> Callable[[Runtime, int, int], Call]:
    def make(runtime: Runtime, size: int, stream: int) -> Call:
        target = there("cuda", size) if memory == "device" else host(size, pinned=True)

        def call() -> object:
            if asynchronous:
                runtime.call("cudaMemsetAsync", target.data_ptr(), 2, size, stream)
            else:
                runtime.call("cudaMemset", target.data_ptr(), 2, size)
            return target

        return call

    return make


class _Block:
    """Memory of the runtime that is given back when nobody has it: after the measurement."""

    def __init__(self, runtime: Runtime, allocate: str, free: str, *given: Any) -> None:
        self._runtime, self._free = runtime, free
        self.address = runtime.made(allocate, *given)

    def free(self) -> None:
        """Give it back now."""
        address, self.address = self.address, 0
        self._runtime.call(self._free, address)

    def __del__(self) -> None:
        if getattr(self, "address", 0):
            self.free()


def _allocated(allocate: str, free: str, *flags: int) -> Callable[[Runtime, int, int], Call]:
    def make(runtime: Runtime, size: int, stream: int) -> Call:
        del stream
        return lambda: _Block(runtime, allocate, free, size, *flags)

    return make


def _freed(allocate: str, free: str, *flags: int) -> Callable[[Runtime, int, int], Call]:
    def make(runtime: Runtime, size: int, stream: int) -> Call:
        del stream
        held = [_Block(runtime, allocate, free, size, *flags) for _ in range(_HELD)]
        return lambda: held.pop().free()

    return make


def _sizes(what: str) -> tuple[int, ...]:
    return PAGEABLE_SIZES if what in ("H2D pageable", "D2H pageable") else SIZES


def _all() -> Iterator[Raw]:
    for what, (rule, predicted) in _SYNC.items():
        yield Raw(f"{what} cudaMemcpy", rule, predicted, _copy(what, asynchronous=False),
                  sizes=_sizes(what))  # fmt: skip
    for what, (rule, predicted) in _ASYNC.items():
        yield Raw(f"{what} cudaMemcpyAsync", rule, predicted, _copy(what, asynchronous=True),
                  legacy=False, sizes=_sizes(what))  # fmt: skip
    for memory, (rule, predicted) in _SETS.items():
        yield Raw(f"memset {memory} cudaMemset", rule, predicted, _set(memory, asynchronous=False),
                  sizes=(SMALL, LARGE))  # fmt: skip
        yield Raw(f"memset {memory} cudaMemsetAsync", "R25", "returns",
                  _set(memory, asynchronous=True), legacy=False, sizes=(SMALL, LARGE))  # fmt: skip
    device, pinned = ("cudaMalloc", "cudaFree"), ("cudaHostAlloc", "cudaFreeHost", 0)
    blocks = (LARGE, HUGE)
    yield Raw("cudaMalloc", "R27", "open", _allocated(*device), "open", sizes=blocks)
    yield Raw("cudaFree", "R27", "waits", _freed(*device), "waits", sizes=blocks)
    yield Raw("cudaHostAlloc", "R27", "open", _allocated(*pinned), "open", sizes=blocks)
    yield Raw("cudaFreeHost", "R27", "open", _freed(*pinned), "open", sizes=blocks)


RAW: tuple[Raw, ...] = tuple(_all())
