"""Pinned CPU tensors, whose host accesses are seen.

A ``Pinned`` is a tensor over real CPU memory, so all of torch works on it; ops on it pass
``__torch_dispatch__``, and what bypasses the dispatcher is overridden here by name. Views of it
are Pinned too. What leaves torch's sight (numpy views, DLPack, ``data_ptr``) is recorded as an
escape.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from streamsan.sim.device.hostmem import HostBlock
from streamsan.sim.device.internals import disabled_torch_function, make_subclass
from streamsan.sim.device.ranges import span_of
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import dispatchers
from streamsan.traces import ops as o


class Pinned(torch.Tensor):
    """A CPU tensor in pinned memory. ``raw`` is the same memory as a plain tensor."""

    raw: torch.Tensor
    block: HostBlock

    __torch_function__: Any = disabled_torch_function

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Carry an op out."""
        return dispatchers[0](func, args, kwargs or {})

    @property
    def span(self) -> o.RangeSpec | None:
        """The bytes that the tensor stands for; None where there are none."""
        real = self.raw
        if real.numel() == 0:
            return None
        size = real.dtype.itemsize
        return span_of(
            self.block.name, self.block.nbytes, tuple(real.shape), real.stride(), size,
            int(real.storage_offset()) * size,
        )  # fmt: skip

    def _read(self, via: str) -> torch.Tensor:
        """Record that host code reads, and give the memory as a plain tensor."""
        note(self, o.HostRead, via)
        return self.raw

    def _escape(self, via: str) -> torch.Tensor:
        """Record that the memory leaves our sight, and give it as a plain tensor."""
        note(self, o.HostEscape, via)
        plain = self.raw.detach()
        plain.__dict__["_simcuda_block"] = self.block  # lives as long as what is made of it
        return plain

    def is_pinned(self, device: Any = None) -> bool:  # noqa: ARG002
        """Say yes."""
        return True

    def pin_memory(self, device: Any = None) -> torch.Tensor:  # noqa: ARG002
        """Give the tensor itself, as torch does."""
        return self

    def tolist(self) -> Any:
        """Read all elements."""
        return self._read("tolist").tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Give a numpy view: an escape."""
        return self._escape("numpy").numpy(force=force)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if copy:
            return self._read("__array__").numpy().astype(dtype, copy=True)
        view = self._escape("__array__").numpy()
        return view if dtype is None else view.astype(dtype, copy=False)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._escape("__dlpack__").__dlpack__(**kwargs)

    def data_ptr(self) -> int:
        """Give the real address: an escape."""
        return self._escape("data_ptr").data_ptr()

    def untyped_storage(self) -> Any:
        """Give the real storage: an escape."""
        return self._escape("untyped_storage").untyped_storage()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        del tensor_contents
        return repr(self._read("repr"))

    def __format__(self, spec: str) -> str:
        return format(self._read("format"), spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = self._read("deepcopy").clone()
        memo[id(self)] = made
        made.__dict__.update(
            copy.deepcopy(
                {k: v for k, v in self.__dict__.items() if k not in ("raw", "block")}, memo
            )
        )
        return made.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain: Any = self._read("pickle").clone()
        return plain.__reduce_ex__(protocol)


def note(tensor: Pinned, cls: type[o.HostRead | o.HostWrite | o.HostEscape], via: str) -> None:
    """Record an access of host code to a pinned tensor."""
    span = tensor.span
    if span is not None:
        with RT.lock:
            RT.host_access(cls, span, via)


def wrap_pinned(real: torch.Tensor, block: HostBlock) -> Pinned:
    """Make the Pinned on a place of a block."""
    made: Pinned = make_subclass(Pinned, real)
    made.raw = real
    made.block = block
    return made


def empty_pinned(shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype) -> Pinned:
    """Allocate a pinned tensor."""
    elements = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    block = RT.malloc_pinned(0 if 0 in shape else elements * dtype.itemsize)
    return wrap_pinned(block.view(dtype, shape, strides), block)


def pin(host: torch.Tensor) -> Pinned:
    """Copy a CPU tensor into pinned memory, as ``Tensor.pin_memory`` does."""
    made = empty_pinned(tuple(host.shape), _dense_strides(host), host.dtype)
    note(made, o.HostWrite, "pin_memory")
    made.raw.copy_(host.detach())
    return made


def _dense_strides(host: torch.Tensor) -> tuple[int, ...]:
    return torch.empty_like(host, device="meta").stride()
