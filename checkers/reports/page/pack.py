"""Columns as bytes: what the page unpacks with ``web/unpack.js``.

A column holds its differences from entry to entry, as signed integers of 1, 2, 4 or 8 bytes, all
first bytes before all second ones: sorted and repeating columns then deflate to almost nothing.
Columns that jump about are told by their values instead (``delta`` false), in as few bytes.

A pack is a length (4 bytes, little-endian), JSON of that many bytes, and the columns; the whole
deflated (zlib) and written in base64.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDTHS = (1, 2, 4, 8)
_SAMPLE = 1 << 16
_QUICK = 1


def pack(meta: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> str:
    """Give the text that the page unpacks.

    Args:
        meta: what goes along as JSON; the key ``columns`` is added.
        columns: integers, one-dimensional.
    """
    table, parts = [], []
    for name, column in columns.items():
        data, delta, width = _encode(np.asarray(column, dtype=np.int64))
        table.append({"name": name, "length": len(column), "width": width, "delta": delta})
        parts.append(data)
    head = json.dumps({**meta, "columns": table}, separators=(",", ":"), allow_nan=False).encode()
    content = b"".join((struct.pack("<I", len(head)), head, *parts))
    return base64.b64encode(zlib.compress(content, 6)).decode("ascii")


def _encode(values: NDArray[np.int64]) -> tuple[bytes, bool, int]:
    """Give a column's bytes, whether they are differences, and how many bytes an entry has."""
    plain = _planes(values)
    differences = _planes(np.diff(values, prepend=np.int64(0)))
    sizes = [len(zlib.compress(_sample(data), _QUICK)) for data, _ in (plain, differences)]
    delta = sizes[1] < sizes[0]
    data, width = differences if delta else plain
    return data, delta, width


def _sample(data: bytes) -> bytes:
    """Give a part of a column's bytes that says how the whole will deflate."""
    if len(data) <= 2 * _SAMPLE:
        return data
    step = len(data) // 8
    return b"".join(data[i * step : i * step + _SAMPLE // 4] for i in range(8))


def _planes(values: NDArray[np.int64]) -> tuple[bytes, int]:
    """Give the values byte plane by byte plane, in the narrowest width that holds them."""
    width = next(w for w in _WIDTHS if w == _WIDTHS[-1] or _fits(values, w))
    narrow = values.astype(f"<i{width}")
    planes = narrow.view(np.uint8).reshape(-1, width).T
    return np.ascontiguousarray(planes).tobytes(), width


def _fits(values: NDArray[np.int64], width: int) -> bool:
    limit = 1 << (8 * width - 1)
    return not len(values) or (int(values.min()) >= -limit and int(values.max()) < limit)


def unpack(text: str) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
    """Give back what ``pack`` was given; the page does the same."""
    content = zlib.decompress(base64.b64decode(text))
    (length,) = struct.unpack_from("<I", content)
    meta: dict[str, Any] = json.loads(content[4 : 4 + length])
    columns, place = {}, 4 + length
    for column in meta.pop("columns"):
        size = column["length"] * column["width"]
        planes = np.frombuffer(content, np.uint8, size, place).reshape(column["width"], -1)
        values = np.ascontiguousarray(planes.T).view(f"<i{column['width']}").reshape(-1)
        values = values.astype(np.int64)
        columns[column["name"]] = np.cumsum(values) if column["delta"] else values
        place += size
    return meta, columns
