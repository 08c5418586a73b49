"""Whether columns that a stranger wrote can be a Trace.

The JSON reader cannot make columns that contradict each other; a columnar file can hold anything.
After these checks no index leads out of its table and every op has what its kind requires. Each
function raises ValueError with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamsan.traces import ops as o
from streamsan.traces.check import check_nodes, is_deep
from streamsan.traces.intern import MAX_SIZE
from streamsan.traces.layout import LAYOUT_OF_KIND, MENTION, SINGLE_RANGES
from streamsan.traces.model import NONE, WHOLE, Trace
from streamsan.traces.ranges import bounding_box

_MAX_TIME = 2**62
_OP_ID = re.compile(r"0|[1-9][0-9]{0,9}")
_KINDS = range(len(o.OPS))


@cache
def _info(kind: int, name: str) -> msgspec.structs.FieldInfo:
    return next(f for f in msgspec.structs.fields(o.OPS[kind]) if f.name == name)


def check_columns(trace: Trace) -> None:
    """Check every column of a trace against its tables and the layout of its kinds."""
    _bounded("kind", trace.kind, 0, len(o.OPS) - 1)
    if len(set(trace.names)) != len(trace.names):
        raise ValueError("names: one is there twice")
    last_name = len(trace.names) - 1
    for key in ("stream_name", "obj", "name", "via"):
        _bounded(key, getattr(trace, key), -1, last_name)
    _bounded("thread", trace.thread, 0, last_name)
    _bounded("device", trace.device, 0, 2**31 - 1)
    _bounded("site", trace.site, -1, 2**31 - 1)
    _bounded("tag", trace.tag, -1, len(trace.tags) - 1)
    for key in ("t", "t_end", "begin", "end"):
        times = getattr(trace, key)
        _bounded(key, times[times != NONE], -_MAX_TIME, _MAX_TIME)
    for column, name in (("stream_name", "stream"), ("obj", "obj"), ("via", "via")):
        _check_presence(trace, name, getattr(trace, column) >= 0)
    _check_presence(trace, "number", trace.number != NONE)
    sizes = np.isin(trace.kind, [o.Kind.MALLOC, o.Kind.MALLOC_ASYNC]) & (trace.number != NONE)
    _bounded("number", trace.number[sizes], 0, MAX_SIZE)
    _check_bits(trace)
    _check_ranges(trace)
    _check_accesses(trace)


def _bounded(key: str, column: NDArray[Any], low: int, high: int) -> None:
    if len(column) and (int(column.min()) < low or int(column.max()) > high):
        raise ValueError(f"{key}: an entry is not in {low} to {high}")


def _field(kind: int, name: str) -> str | None:
    """Give the field of a kind that stands in a column; None where it has none there."""
    layout = LAYOUT_OF_KIND[kind]
    if name in ("stream", "via"):
        return name if getattr(layout, name) else None
    found: str | None = getattr(layout, name)
    return found


def _check_presence(trace: Trace, name: str, there: NDArray[np.bool_]) -> None:
    """Check that a kind without the field has no entry, and one that requires it has one."""
    fields = [_field(kind, name) for kind in _KINDS]
    allowed = np.array([field is not None for field in fields])
    required = np.array(
        [f is not None and _info(kind, f).required for kind, f in enumerate(fields)]
    )
    wrong = np.flatnonzero((there & ~allowed[trace.kind]) | (~there & required[trace.kind]))
    if len(wrong):
        word = o.WORDS[trace.kind[wrong[0]]]
        raise ValueError(f"op {wrong[0]}: {word} with or without its {name}, against the format")


def _check_bits(trace: Trace) -> None:
    """Check the codes of each field, and that a field with a default is not left out."""
    low, high = np.zeros((len(o.OPS), 4), np.int64), np.zeros((len(o.OPS), 4), np.int64)
    for kind in _KINDS:
        for place, (field, choices) in enumerate(LAYOUT_OF_KIND[kind].bits):
            low[kind, place] = _info(kind, field).default is not None
            high[kind, place] = len(choices)
    for place in range(4):
        codes = (trace.bits >> np.uint16(4 * place)) & 15
        if ((codes < low[trace.kind, place]) | (codes > high[trace.kind, place])).any():
            raise ValueError("bits: a code stands for nothing")


def _check_ranges(trace: Trace) -> None:
    ranges = trace.ranges
    lengths = {len(ranges.name), len(ranges.offset), len(ranges.length), len(ranges.strided)}
    if len(lengths) != 1:
        raise ValueError("ranges: columns of different lengths")
    _bounded("range_name", ranges.name, 0, len(trace.names) - 1)
    _bounded("range_strided", ranges.strided, -1, len(ranges.views) - 1)
    plain = ranges.strided < 0
    _bounded("range_offset", ranges.offset[plain], 0, MAX_SIZE)
    _bounded("range_length", ranges.length[plain], WHOLE, MAX_SIZE)
    if (ranges.offset[plain][ranges.length[plain] == WHOLE] != 0).any():
        raise ValueError("range_offset: a whole buffer begins at 0")
    for row in np.flatnonzero(~plain).tolist():
        view = ranges.views[ranges.strided[row]]
        low, high = bounding_box(view)
        given = (int(ranges.offset[row]), int(ranges.length[row]))
        if given != (low, high - low) or trace.names[ranges.name[row]] != view.buffer:
            raise ValueError(f"range {row} is not what its view says")


def _check_accesses(trace: Trace) -> None:
    start, count = trace.access_start, len(trace.access_range)
    if len(trace.access_mode) != count:
        raise ValueError("accesses: columns of different lengths")
    if start[0] != 0 or start[-1] != count or (np.diff(start) < 0).any():
        raise ValueError("access_start: not rising from 0 to the number of accesses")
    _bounded("access_range", trace.access_range, 0, len(trace.ranges) - 1)
    _bounded("access_mode", trace.access_mode, 0, MENTION)
    least, most = np.zeros((len(o.OPS), 4), np.int64), np.zeros((len(o.OPS), 4), np.int64)
    for kind in _KINDS:
        for field, mode in LAYOUT_OF_KIND[kind].ranges:
            single = field in SINGLE_RANGES
            least[kind, mode] = single and mode != MENTION
            most[kind, mode] = 1 if single else count
    op = trace.access_op
    for mode in range(4):
        found = np.bincount(op[trace.access_mode == mode], minlength=len(trace))
        if ((found < least[trace.kind, mode]) | (found > most[trace.kind, mode])).any():
            raise ValueError("access_mode: an op has not the ranges of its kind")
    falls = np.diff(trace.access_mode.astype(np.int8)) < 0
    if (falls & (np.diff(op) == 0)).any():
        raise ValueError("access_mode: the accesses of an op are out of order")


def checked_tags(tags: Iterable[msgspec.Raw]) -> tuple[bytes, ...]:
    """Give the tags, each the JSON of one object."""
    found = tuple(bytes(tag) for tag in tags)
    for tag in found:
        if is_deep(msgspec.json.decode(tag, type=dict[str, Any])):
            raise ValueError("tags: one nests too deep")
    return found


def checked_extras(
    extras: Mapping[str, dict[str, Any]], kind: NDArray[np.uint8]
) -> dict[int, dict[str, Any]]:
    """Give the extras by op: rare keys of the kind's types, and keys that it does not have."""
    _bounded("kind", kind, 0, len(o.OPS) - 1)
    hints: dict[int, dict[str, Any]] = {}
    found: dict[int, dict[str, Any]] = {}
    for key, keys in extras.items():
        op = int(key) if _OP_ID.fullmatch(key) else -1
        if not 0 <= op < len(kind):
            raise ValueError(f"extras: {key[:40]!r} is no op")
        code = int(kind[op])
        types = hints.setdefault(code, get_type_hints(o.OPS[code], include_extras=True))
        found[op] = _checked_keys(code, keys, types)
    return found


def _checked_keys(code: int, keys: dict[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    if is_deep(keys):
        raise ValueError("extras: nest too deep")
    found = dict(keys)
    for key, value in keys.items():
        if key in LAYOUT_OF_KIND[code].rare:
            found[key] = msgspec.convert(value, types[key])
            if key == "nodes":
                check_nodes(value)
        elif code == o.Kind.GRAPH_LAUNCH and key in ("reads", "writes") and value == []:
            found[key] = ()
        elif key in o.OPS[code].__struct_encode_fields__:
            raise ValueError(f"extras: {key!r} of {o.WORDS[code]} stands in a column")
    return found
