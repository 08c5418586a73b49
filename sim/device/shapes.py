"""What an op's results look like, without running it: asked of torch's meta kernels, once.

The answer depends on the op, on the shapes, strides and types of its tensors and on its other
arguments; it is kept under just these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

_MOST = 20_000


@dataclass(frozen=True)
class Leaf:
    """A tensor among an op's results."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


_known: dict[Any, Any] = {}


def results(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Give an op's results with a Leaf for each tensor. Tensors among the arguments are real."""
    key = (func, torch.get_default_dtype(), _key(args), _key(kwargs) if kwargs else None)
    try:
        return _known[key]
    except KeyError:
        pass
    found = describe(_infer(func, args, kwargs))
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = found
    return found


def _key(value: Any) -> Any:
    cls = type(value)
    if cls is torch.Tensor:
        return (value.shape, value.stride(), value.dtype)
    if cls is tuple or cls is list:
        return tuple([_key(each) for each in value])
    if cls is dict:
        return tuple([(name, _key(each)) for name, each in value.items()])
    if cls is int or cls is float or cls is bool or cls is complex:
        return (cls, value)
    if isinstance(value, torch.Tensor):
        return (value.shape, value.stride(), value.dtype)
    return value


def _infer(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return func(*_replaced(args, "meta"), **_replaced(kwargs, "meta"))
    except NotImplementedError:
        pass
    except RuntimeError:
        if getattr(func, "namespace", "aten") in ("aten", "prims"):
            raise
    # No meta kernel, as for a custom op: its CPU kernel on zeros tells the shapes as well.
    with torch.no_grad():
        return func(*_replaced(args, "cpu"), **_replaced(kwargs, "cpu"))


def _replaced(value: Any, device: str) -> Any:  # noqa: PLR0911 - one answer a type
    if isinstance(value, torch.Tensor):
        if device == "meta":
            return torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device="meta"
            )
        return torch.zeros(value.shape, dtype=value.dtype, device="cpu")
    if isinstance(value, torch.device):
        return torch.device(device)
    if isinstance(value, torch.Generator):
        return None
    if isinstance(value, tuple | list):
        return type(value)([_replaced(each, device) for each in value])
    if isinstance(value, dict):
        return {name: _replaced(each, device) for name, each in value.items()}
    return value


def describe(value: Any) -> Any:
    """Put a Leaf in the place of each tensor."""
    if isinstance(value, torch.Tensor):
        return Leaf(tuple(value.shape), value.stride(), value.dtype)
    if isinstance(value, tuple | list):
        return [describe(each) for each in value]
    return value
