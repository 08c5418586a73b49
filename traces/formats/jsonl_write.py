"""A Trace as JSON Lines: what differs from the defaults, and every key that was unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, BinaryIO

import msgspec
import numpy as np

from streamsan.traces import ops as o
from streamsan.traces.formats.header import header_dict
from streamsan.traces.layout import LAYOUT_OF_KIND, SINGLE_RANGES
from streamsan.traces.model import NONE, Trace, range_spec

_BATCH = 50_000
_PATH = re.compile(r"/(\w+)(?:/(\d+))?")
_KEY = {"async_": "async"}
_FIELD_OF = {
    (kind, mode): field
    for kind, layout in enumerate(LAYOUT_OF_KIND)
    for field, mode in layout.ranges
}


def write(trace: Trace, file: BinaryIO) -> None:
    """Write a trace: its header, then one op a line."""
    encoder = msgspec.json.Encoder()
    file.write(encoder.encode(header_dict(trace)) + b"\n")
    specs = [as_json(range_spec(trace, r)) for r in range(len(trace.ranges))]
    for start in range(0, len(trace), _BATCH):
        batch = rows(trace, start, min(start + _BATCH, len(trace)), specs)
        file.write(encoder.encode_lines(batch))


def as_json(spec: o.RangeSpec) -> Any:
    """Give a range as the file writes it, without defaults."""
    if not isinstance(spec, o.StridedRange):
        return spec
    found = msgspec.structs.asdict(spec)
    if not found["offset"]:
        del found["offset"]
    return found


def rows(trace: Trace, start: int, stop: int, specs: list[Any]) -> list[dict[str, Any]]:
    """Give some ops as the objects of their lines.

    Args:
        trace: whose ops.
        start: the first op.
        stop: the op after the last.
        specs: every range of the trace as the file writes it.
    """
    kinds = trace.kind[start:stop].tolist()
    found: list[dict[str, Any]] = [{"op": o.WORDS[kind]} for kind in kinds]
    for i, name in _set(trace.obj[start:stop], -1):
        key = LAYOUT_OF_KIND[kinds[i]].obj
        if key is not None:
            found[i][key] = trace.names[name]
    for key, column in (("stream", trace.stream_name), ("name", trace.name), ("via", trace.via)):
        for i, name in _set(column[start:stop], -1):
            found[i][key] = trace.names[name]
    _put_accesses(trace, start, kinds, found, specs)
    for i, bits in _set(trace.bits[start:stop], 0):
        found[i].update(_of_bits(kinds[i], bits))
    for i, number in _set(trace.number[start:stop], NONE):
        key = LAYOUT_OF_KIND[kinds[i]].number
        if key is not None:
            found[i][key] = number
    _put_base(trace, start, stop, found)
    for i in range(start, stop) if trace.extras else ():
        if i in trace.extras:
            _put_extras(found[i - start], trace.extras[i])
    return found


def _set(column: Any, default: int) -> Iterator[tuple[int, int]]:
    """Give place and value of the entries that are not the default."""
    at = np.flatnonzero(column != default)
    return zip(at.tolist(), column[at].tolist(), strict=True)


def _put_base(trace: Trace, start: int, stop: int, found: list[dict[str, Any]]) -> None:
    for i, device in _set(trace.device[start:stop], 0):
        found[i]["device"] = device
    main = trace.names.index("main") if "main" in trace.names else -1
    for i, name in _set(trace.thread[start:stop], main):
        found[i]["thread"] = trace.names[name]
    for i, site in _set(trace.site[start:stop], -1):
        found[i]["site"] = site
    for key in ("t", "t_end", "begin", "end"):
        for i, time in _set(getattr(trace, key)[start:stop], NONE):
            found[i][key] = time
    for i, tag in _set(trace.tag[start:stop], -1):
        found[i]["tag"] = msgspec.Raw(trace.tags[tag])


def _put_accesses(
    trace: Trace,
    start: int,
    kinds: list[int],
    found: list[dict[str, Any]],
    specs: list[Any],
) -> None:
    first, last = int(trace.access_start[start]), int(trace.access_start[start + len(kinds)])
    ops = (trace.access_op[first:last] - start).tolist()
    ranges = trace.access_range[first:last].tolist()
    modes = trace.access_mode[first:last].tolist()
    for i, index, mode in zip(ops, ranges, modes, strict=True):
        field = _FIELD_OF[kinds[i], mode]
        if field in SINGLE_RANGES:
            found[i][field] = specs[index]
        else:
            found[i].setdefault(field, []).append(specs[index])


@cache
def _of_bits(kind: int, bits: int) -> Mapping[str, Any]:
    """Give the fields of a ``bits`` entry that are not the op's defaults."""
    cls = o.OPS[kind]
    defaults = {field.name: field.default for field in msgspec.structs.fields(cls)}
    found = {}
    for place, (field, choices) in enumerate(LAYOUT_OF_KIND[kind].bits):
        code = (bits >> (4 * place)) & 15
        if code and choices[code - 1] != defaults[field]:
            found[_KEY.get(field, field)] = choices[code - 1]
    return found


def _put_extras(row: dict[str, Any], extras: Mapping[str, Any]) -> None:
    for key, value in extras.items():
        path = _PATH.fullmatch(key)
        if path is None or not _put_in_range(row, path[1], path[2], value):
            row[key] = value


def _put_in_range(row: dict[str, Any], field: str, index: str | None, value: Any) -> bool:
    """Put unknown keys back into the strided range that they came from."""
    given = row.get(field)
    if index is not None:
        place = int(index)
        if not isinstance(given, list) or place >= len(given):
            return False
        target = given[place]
    else:
        target = given
    if not isinstance(target, dict) or not isinstance(value, dict):
        return False
    merged = target | value
    if index is None:
        row[field] = merged
    else:
        given[int(index)] = merged  # type: ignore[index]
    return True
