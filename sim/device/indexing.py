"""Indexing by tensors: what torch's own code on CUDA copies for it, and where the host waits.

As in ATen/native/TensorAdvancedIndexing.cpp and IndexingUtils.h: a number to be written is a
scalar on the CPU, which goes to the device in a blocking copy, unless a mask of the device says
where, which ``masked_fill_`` does without. Masks of the CPU become indices there, which go
through pinned memory; other indices of the CPU are copied in a blocking way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from streamsan.sim.device.copies import copy, upload
from streamsan.sim.device.launch import INDEXING, view
from streamsan.sim.device.pinned import Pinned, empty_pinned, note
from streamsan.sim.device.plans import MASKS
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import NAME, SimTensor, empty
from streamsan.traces import ops as o

_VALUE, _ACCUMULATE = 2, 3
_FILLS = {
    "aten::index_put": torch.ops.aten.masked_fill.Scalar,
    "aten::index_put_": torch.ops.aten.masked_fill_.Scalar,
    "aten::_index_put_impl_": torch.ops.aten.masked_fill_.Scalar,
}


def prepare(func: Any, args: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """Give the op, and its arguments on the device, that carry an indexing op out.

    Raises:
        RuntimeError: what is indexed is on the CPU, its indices are not.
    """
    target, indices = args[0], args[1]
    if not isinstance(target, SimTensor):
        raise RuntimeError(  # noqa: TRY004 - as torch has it
            "indices should be either on cpu or on the same device as the indexed tensor (cpu), "
            f"not on {NAME}"
        )
    rest = list(args[_VALUE:])
    if rest and isinstance(rest[0], torch.Tensor) and not isinstance(rest[0], SimTensor):
        mask = None if any(rest[1:]) else _mask(target, indices)
        if mask is not None and rest[0].numel() == 1:
            return _FILLS[func._schema.name], (target, mask, _number(rest[0]))  # noqa: SLF001
        if rest[0].dim() == 0:
            rest[0] = upload(rest[0], target.ordinal)
    return func, (target, _on_device(indices, target.ordinal), *rest)


def _mask(target: SimTensor, indices: Sequence[Any]) -> Any:
    """Give the one mask on the device that is all the indices, as ``masked_fill_`` takes it."""
    given = [each for each in indices if each is not None]
    if len(given) != 1 or not isinstance(given[0], SimTensor) or given[0].dtype != torch.bool:
        return None
    dims = len(indices) - 1 + given[0].dim()
    mask = given[0]
    for _ in range(target.dim() - dims):
        mask = view(torch.ops.aten.unsqueeze.default, (mask, -1), {})
    return mask


def _number(value: torch.Tensor) -> Any:
    if isinstance(value, Pinned):
        note(value, o.HostRead, "scalar")
        value = value.raw
    return value.item()


def _on_device(indices: Sequence[Any], ordinal: int) -> list[Any]:
    found: list[Any] = []
    for each in indices:
        if each is None or isinstance(each, SimTensor):
            found.append(each)
        elif each.dtype in MASKS:
            found += _places(each, ordinal)
        else:
            found.append(upload(each, ordinal))
    return found


def _places(mask: torch.Tensor, ordinal: int) -> list[Any]:
    """Find where a mask on the CPU is true, and send that through pinned memory, not waiting."""
    if isinstance(mask, Pinned):
        note(mask, o.HostRead, "nonzero")
        mask = mask.raw
    places = mask.nonzero()
    shape, strides = tuple(places.shape), places.stride()
    staging = empty_pinned(shape, strides, places.dtype)
    staging.raw.copy_(places)
    if places.numel():
        note(staging, o.HostWrite, "nonzero")
    sent = empty(shape, strides, places.dtype, RT.current(ordinal))
    copy(sent, staging, non_blocking=True, via="to")
    return list(view(torch.ops.aten.unbind.int, (sent, 1), {}))


INDEXING.append(prepare)
