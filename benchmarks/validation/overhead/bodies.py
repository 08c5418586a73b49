"""The programs whose recording is timed: small ops, a decode loop, the mini-scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scheduler import Scheduler
from validation.overhead.decoder import Decoder, Sizes

_DEEPER = 30
_LENGTH = 64
_TOKENS = 24


@dataclass(frozen=True)
class Body:
    """A program to be timed.

    Args:
        name: what the tables call it.
        make: builds what it runs on, within the tool that watches it, and gives the program.
        steps: decode steps of one run; 0 where there are none.
    """

    name: str
    make: Callable[[], Callable[[], None]]
    steps: int = 0


def bodies(device: str) -> list[Body]:
    """Give them all, smaller on the simulated device."""
    real = device == "cuda"
    loops = 500 if real else 150
    sizes = Sizes() if real else Sizes(2, 64, 4, 2, 32, torch.float32)
    steps = 10 if real else 2
    return [
        Body("small ops", lambda: lambda: small(device, loops)),
        Body(f"small ops, {_DEEPER} frames deeper",
             lambda: lambda: deep(_DEEPER, lambda: small(device, loops))),
        Body(f"decode loop, {sizes.layers} layers of width {sizes.width}",
             lambda: decoding(device, sizes, steps), steps),
        Body("mini-scheduler", lambda: serving(device), _TOKENS if real else 4),
    ]  # fmt: skip


def small(device: str, loops: int) -> None:
    """Run small ops: three kernels and a view a loop, on 64 elements."""
    first, second = torch.ones(_LENGTH, device=device), torch.ones(_LENGTH, device=device)
    for _ in range(loops):
        total = first + second
        total.mul_(2.0)
        torch.relu(total.view(8, 8))


def deep(depth: int, run: Callable[[], None]) -> None:
    """Run below more frames."""
    if depth:
        deep(depth - 1, run)
    else:
        run()


def decoding(device: str, sizes: Sizes, steps: int) -> Callable[[], None]:
    """Give a loop that decodes a token of each sequence in each step, as an eager engine does."""
    decoder = Decoder(device, sizes)

    def run() -> None:
        tokens = torch.zeros(sizes.batch, dtype=torch.int64, device=device)
        for position in range(steps):
            tokens = decoder.step(tokens, position)

    return run


def serving(device: str) -> Callable[[], None]:
    """Give a loop that serves four requests, on a scheduler that is there already."""
    args = ServerArgs(slots=200)  # enough for all four to their end
    scheduler = Scheduler(args, device)
    tokens = _TOKENS if device == "cuda" else 4
    room = args.context - tokens
    asks = tuple(Ask(tuple(range(i, i + min(room, 4 + i))), tokens) for i in range(4))

    def run() -> None:
        scheduler.iteration = 0
        scheduler.host_saw.clear()
        scheduler.serve(asks)

    return run


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is dispatched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops += 1
        return func(*args, **(kwargs or {}))


def count(run: Callable[[], None]) -> int:
    """Count the ops that a program dispatches, views included."""
    with _Counter() as counter:
        run()
    ops: int = counter.ops
    return ops
