"""The corners of torch that have no types, or no public name: all in one place, as Any."""

from __future__ import annotations

from typing import Any

import torch

C: Any = torch._C  # noqa: SLF001
utils: Any = torch.utils
library: Any = torch.library
register_module: Any = torch._register_device_module  # noqa: SLF001
disabled_torch_function: Any = C._disabled_torch_function_impl  # noqa: SLF001
make_wrapper: Any = torch.Tensor._make_wrapper_subclass  # noqa: SLF001
make_subclass: Any = torch.Tensor._make_subclass  # noqa: SLF001
data_of: Any = torch.Tensor.data
"""The descriptor of ``Tensor.data``: its ``__set__`` changes what a tensor stands for."""
no_python_dispatch: Any = C._DisableTorchDispatch  # noqa: SLF001
"""Within it no op arrives at a tensor subclass or a mode."""


def set_bits(made: torch.Tensor, like: torch.Tensor) -> None:
    """Mark a tensor as lazily conjugated or negated where another one is."""
    if like.is_conj():
        C._set_conj(made, True)  # noqa: SLF001
    if like.is_neg():
        C._set_neg(made, True)  # noqa: SLF001


def is_composite(func: Any) -> bool:
    """Whether torch makes an op of other ops, on every device."""
    key = C.DispatchKey.CompositeImplicitAutograd
    return bool(C._dispatch_has_kernel_for_dispatch_key(func.name(), key))  # noqa: SLF001


def sequence_number() -> int:
    """Give the number that the calling thread's next autograd node gets."""
    return int(C._autograd._get_sequence_nr())  # noqa: SLF001


def graph_task() -> int:
    """Give the number of the backward that the calling thread carries out a node of, else -1."""
    return int(C._current_graph_task_id())  # noqa: SLF001
