"""The tensors among the arguments and results of an op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from streamsan.traces.recorder.live.plans import READ, WRITE, Plan

Args = Sequence[Any]


def accesses(plan: Plan, args: Args, kwargs: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Give the tensors that an op reads, and those that it writes, among its arguments."""
    reads: list[Tensor] = []
    writes: list[Tensor] = []
    for at, name, mode in plan.arguments:
        value = args[at] if 0 <= at < len(args) else kwargs.get(name)
        found = tensors(value)
        if mode & READ:
            reads += found
        if mode & WRITE:
            writes += found
    return reads, writes


def tensors(value: Any) -> Sequence[Tensor]:
    """Give the tensors in an argument or result: in lists, and lists of lists."""
    if isinstance(value, Tensor):
        return (value,)
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in tensors(each)]
    return ()
