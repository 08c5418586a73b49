"""Queued work: an op on real tensors, and where its results go."""

from __future__ import annotations

from typing import Any

import torch

from streamsan.sim.device.draws import call_seeded, draw
from streamsan.sim.device.internals import no_python_dispatch
from streamsan.sim.device.plans import Plan
from streamsan.sim.device.tensor import SimTensor
from streamsan.sim.device.unwrap import Unwrapped


class Mutation:
    """A kernel that writes its arguments."""

    __slots__ = ("args", "func", "kwargs")

    def __init__(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> None:
        """Run it."""
        with no_python_dispatch():
            self.func(*self.args, **self.kwargs)


class Making:
    """A kernel that gives new tensors: their values go to the places that were allocated."""

    __slots__ = ("args", "func", "kwargs", "outs")

    def __init__(self, func: Any, args: Any, kwargs: dict[str, Any], outs: Any) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.outs = outs

    def __call__(self) -> None:
        """Run it."""
        with no_python_dispatch():
            store(self.func(*self.args, **self.kwargs), self.outs)


def store(values: Any, outs: Any) -> None:
    """Write a kernel's results to their places."""
    if type(outs) is SimTensor:
        outs = outs.raw
    if isinstance(outs, torch.Tensor):
        outs.copy_(values)
    elif isinstance(outs, list):
        for value, out in zip(values, outs, strict=True):
            store(value, out)


def seeded(func: Any, plan: Plan, given: Unwrapped, device: int) -> Any:
    """Give a random op its seed, drawn now."""
    if not plan.random:
        return func
    generator = given.kwargs.get("generator")
    given.kwargs = {k: v for k, v in given.kwargs.items() if k != "generator"}
    seed = draw(device, generator)
    return lambda *args, **kwargs: call_seeded(func, args, kwargs, seed, plan.generator)
