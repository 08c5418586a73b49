"""Which bytes of its buffer a tensor touches, as a range of the trace."""

from __future__ import annotations

from streamsan.traces import ops as o


def span_of(  # noqa: PLR0917
    name: str,
    nbytes: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    itemsize: int,
    offset: int,
) -> o.RangeSpec:
    """Give the range of a view; ``offset`` is that of its first byte in the buffer.

    Dimensions of size 1 and stride 0 touch nothing new. What is left is one stretch where the
    strides are those of a dense tensor in some order of dimensions, else the strided form.
    """
    dims = [(st, sz) for sz, st in zip(shape, strides, strict=True) if sz != 1 and st != 0]
    dims.sort()
    expected = 1
    for stride, size in dims:
        if stride != expected:
            dims.reverse()
            return o.StridedRange(
                buffer=name,
                shape=tuple(size for _, size in dims),
                strides=tuple(stride * itemsize for stride, _ in dims),
                itemsize=itemsize,
                offset=offset,
            )
        expected = stride * size
    length = expected * itemsize
    if offset == 0 and length == nbytes:
        return name
    return (name, offset, length)
