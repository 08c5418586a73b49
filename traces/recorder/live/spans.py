"""Which bytes of its buffer a tensor touches, as a range of the trace."""

from __future__ import annotations

import torch

from streamsan.traces import ops as o


def span_of(tensor: torch.Tensor, name: str, nbytes: int, offset: int) -> o.RangeSpec | None:
    """Give the range of a tensor whose first byte is at ``offset``; None where it has no bytes.

    Args:
        tensor: a strided tensor.
        name: its buffer.
        nbytes: the buffer's size; 0 where it is not known.
        offset: in bytes.
    """
    size = tensor.itemsize
    if tensor.is_contiguous():
        length = tensor.numel() * size
        if length == 0:
            return None
        return name if length == nbytes and not offset else (name, offset, length)
    found = _strided(name, tuple(tensor.shape), tensor.stride(), size, offset)
    return name if found == (name, 0, nbytes) else found


def _strided(
    name: str, shape: tuple[int, ...], strides: tuple[int, ...], size: int, offset: int
) -> o.RangeSpec | None:
    """Give one stretch where the strides are dense in some order of dimensions, else the view."""
    if 0 in shape:
        return None
    dims = sorted((st, n) for n, st in zip(shape, strides, strict=True) if n != 1 and st)
    expected = 1
    for stride, count in dims:
        if stride != expected:
            dims.reverse()
            return o.StridedRange(
                buffer=name,
                shape=tuple(n for _, n in dims),
                strides=tuple(st * size for st, _ in dims),
                itemsize=size,
                offset=offset,
            )
        expected = stride * count
    return (name, offset, expected * size)
