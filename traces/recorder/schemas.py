"""What the schemas of torch's ops do not say, for the recorder and for the simulated device.

Tables by an op's name, without namespace and overload; torch itself is not needed for them. See
simulated-device.md, section 3.
"""

from __future__ import annotations

from typing import Any

WRITE_ONLY = frozenset({
    "fill_", "zero_", "normal_", "uniform_", "random_", "exponential_", "geometric_", "cauchy_",
    "log_normal_", "bernoulli_", "_foreach_zero_", "fill", "zero",
})  # fmt: skip
"""Ops that do not read what they write."""
ASKS = frozenset({
    "is_same_size", "sym_size", "sym_stride", "sym_numel", "sym_storage_offset", "dim",
    "is_contiguous", "is_non_overlapping_and_dense", "layout", "size", "stride", "numel",
    "storage_offset", "_has_compatible_shallow_copy_type",
})  # fmt: skip
"""Ops that ask for shapes and the like: no data."""
INDEXED = frozenset({"index", "index_put_", "index_put", "_index_put_impl_"})
"""Ops whose second argument is a list of index tensors."""
_VIA = {
    "_local_scalar_dense": "item", "equal": "equal", "is_nonzero": "bool", "nonzero": "nonzero",
    "masked_select": "mask_index", "index": "mask_index", "index_put_": "mask_index",
    "index_put": "mask_index", "_index_put_impl_": "mask_index", "bincount": "bincount",
    "repeat_interleave": "repeat_interleave", "unique_consecutive": "unique",
    "_unique2": "unique", "unique_dim": "unique", "_unique": "unique", "histc": "histc",
    "one_hot": "one_hot", "allclose": "allclose",
}  # fmt: skip
_ALWAYS_WAITS = frozenset({"equal", "is_nonzero", "_local_scalar_dense", "allclose"})
_SOMETIMES = frozenset({"index", "repeat_interleave"})
_TAGS = frozenset({"data_dependent_output", "dynamic_output_shape"})


def via(name: str) -> str:
    """Give what a program wrote to get this op, where it makes the host wait."""
    return _VIA.get(name, name)


def always_waits(func: Any, name: str) -> bool:
    """Whether what an op gives depends on data, so that the host waits (R41)."""
    dynamic = not _TAGS.isdisjoint(tag.name for tag in func.tags)
    return name in _ALWAYS_WAITS or (dynamic and name not in _SOMETIMES)
