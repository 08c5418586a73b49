"""From op values to columns: the one place where a Trace is made.

Readers decode a batch of ops (any number), hand it to ``TraceBuilder.add`` and end with
``finish``. Ops are grouped by type and each field is taken from a whole group at once: a Python
loop over ops with a branch for each field would take several times as long as decoding them.
A column that holds nothing but its default in a batch costs one comparison for each op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamsan.traces import ops as o
from streamsan.traces.check import OpError, check_nodes, check_ranges, check_sites, is_deep
from streamsan.traces.graph_nodes import node_sets
from streamsan.traces.intern import Names, RangeTable
from streamsan.traces.layout import LAYOUTS, MENTION, SINGLE_RANGES, Layout
from streamsan.traces.model import NONE, Damage, Gap, Ranges, Trace

_DEFAULTS: dict[str, tuple[type[np.generic], int]] = {
    "kind": (np.uint8, 0),
    "bits": (np.uint16, 0),
    "thread": (np.int32, 0),  # the index of "main": the first name of every table
    "device": (np.int32, 0),
    **dict.fromkeys(("stream_name", "obj", "name", "via", "site", "tag"), (np.int32, -1)),
    **dict.fromkeys(("number", "t", "t_end", "begin", "end"), (np.int64, NONE)),
    "accesses": (np.int64, 0),
}
"""Type and default of each column; ``accesses`` counts the accesses of an op."""
_RARE_DEFAULTS: dict[str, Any] = {"offset": 0, "signals": (), "awaits": ()}

At = NDArray[np.intp]
Found = tuple[At, NDArray[np.int64] | None, NDArray[np.int32], int]
"""Ops of a batch, how many ranges each has (None: one), those ranges, and their mode."""


class TraceBuilder:
    """Collects batches of ops; ``finish`` gives the Trace."""

    def __init__(self) -> None:
        """Start with no ops."""
        self.count = 0
        self._names = Names()
        self._ranges = RangeTable(self._names)
        self._tags: dict[bytes, int] = {}
        self._parts: dict[str, list[tuple[int, NDArray[Any]]]] = {key: [] for key in _DEFAULTS}
        self._access_parts: list[tuple[NDArray[np.int32], NDArray[np.uint8]]] = []
        self._extras: dict[int, dict[str, Any]] = {}
        self._names["main"]

    def add(self, batch: Sequence[o.OpBase], unknown: Mapping[int, dict[str, Any]] = {}) -> None:
        """Append a batch; ``unknown`` holds unknown keys by position in the batch.

        Raises:
            OpError: an op contradicts the format: a malformed range or node, too deep nesting.
        """
        columns = _Columns(len(batch))
        codes = map(o.KIND_OF.__getitem__, map(type, batch))
        kind = columns["kind"] = np.fromiter(codes, np.uint8, len(batch))
        accesses: list[Found] = []
        for code in np.flatnonzero(np.bincount(kind, minlength=1)).tolist():
            at = np.flatnonzero(kind == code)
            mine = batch if len(at) == len(batch) else [batch[i] for i in at.tolist()]
            self._fill(o.OPS[code], mine, at, columns, accesses)
        self._join_accesses(accesses, columns)
        for i, keys in unknown.items():
            if is_deep(keys):
                raise OpError(self.count + i, "an unknown key nests too deep")
            self._extras.setdefault(self.count + i, {}).update(keys)
        for key, column in columns.items():
            self._parts[key].append((self.count, column))
        self.count += len(batch)

    def _fill(
        self,
        cls: type[o.OpBase],
        mine: Sequence[Any],
        at: At,
        columns: _Columns,
        accesses: list[Found],
    ) -> None:
        layout, index = LAYOUTS[cls], self._names.__getitem__
        columns.put("thread", at, [op.thread for op in mine], "main", index)
        columns.put("device", at, [op.device for op in mine], 0)
        columns.put("name", at, [op.name for op in mine], None, index)
        columns.put("site", at, [op.site for op in mine], None)
        columns.put("t", at, [op.t for op in mine], None)
        columns.put("t_end", at, [op.t_end for op in mine], None)
        columns.put("begin", at, [op.begin for op in mine], None)
        columns.put("end", at, [op.end for op in mine], None)
        self._fill_tags(mine, at, columns)
        if layout.stream:
            columns.put("stream_name", at, [op.stream for op in mine], None, index)
        if layout.obj is not None:
            columns.put("obj", at, [getattr(op, layout.obj) for op in mine], None, index)
        if layout.via:
            columns.put("via", at, [op.via for op in mine], None, index)
        if layout.number is not None:
            numbers = [getattr(op, layout.number) for op in mine]
            if NONE in numbers:  # the column's own mark for a number that was left out
                op = self.count + int(at[numbers.index(NONE)])
                raise OpError(op, f"{layout.number} {NONE} is out of range")
            columns.put("number", at, numbers, None)
        for place, (field, choices) in enumerate(layout.bits):
            code: dict[Any, int] = {choice: i + 1 for i, choice in enumerate(choices)}
            columns.add_bits(at, [code.get(getattr(op, field), 0) for op in mine], place)
        self._fill_rare(cls, layout, mine, at)
        self._find_ranges(cls, mine, at, accesses)

    def _fill_tags(self, mine: Sequence[Any], at: At, columns: _Columns) -> None:
        tags = [op.tag for op in mine]
        if tags.count(None) == len(tags):
            return
        found = []
        for i, tag in zip(at.tolist(), tags, strict=True):
            if tag is None:
                found.append(-1)
                continue
            if is_deep(tag):
                raise OpError(self.count + i, "the tag nests too deep")
            key = msgspec.json.encode(tag)
            found.append(self._tags.setdefault(key, len(self._tags)))
        columns.put("tag", at, found, -1)

    def _fill_rare(self, cls: type[o.OpBase], layout: Layout, mine: Sequence[Any], at: At) -> None:
        for field in layout.rare:
            default = _RARE_DEFAULTS.get(field)
            self._keep(field, at, [getattr(op, field) for op in mine], default)
        if cls is o.GraphLaunch:  # an explicit empty list is not "those captured"
            for field in ("reads", "writes"):
                given = [getattr(op, field) for op in mine]
                self._keep(field, at, [() if g == () else None for g in given], None)

    def _keep(self, field: str, at: At, values: list[Any], default: object) -> None:
        if values.count(default) == len(values):
            return
        for i, value in zip(at.tolist(), values, strict=True):
            if value == default:
                continue
            if is_deep(value):
                raise OpError(self.count + i, f"{field}: nests too deep")
            if field == "nodes":
                try:
                    check_nodes(value)
                except ValueError as error:
                    raise OpError(self.count + i, str(error)) from None
            self._extras.setdefault(self.count + i, {})[field] = value

    def _find_ranges(
        self, cls: type[o.OpBase], mine: Sequence[Any], at: At, accesses: list[Found]
    ) -> None:
        index = self._ranges.__getitem__
        for field, mode in LAYOUTS[cls].ranges:
            if field == "reads":  # spelled out: twice as fast as by name
                given = [op.reads for op in mine]
            elif field == "writes":
                given = [op.writes for op in mine]
            else:
                given = [getattr(op, field) for op in mine]
            if cls is o.GraphCapture:
                given = [_captured(op, field) for op in mine]
            where, counts = at, None
            if field not in SINGLE_RANGES:
                if cls is o.GraphLaunch:
                    given = [g or () for g in given]
                if given.count(()) == len(given):
                    continue
                counts = np.fromiter(map(len, given), np.int64, len(given))
                given = list(chain.from_iterable(given))
            elif mode == MENTION:
                where = at[[g is not None for g in given]]
                given = [g for g in given if g is not None]
            try:
                found = np.fromiter(map(index, given), np.int32, len(given))
            except ValueError as error:
                op = self.count + _first_bad(mine, at, field)
                raise OpError(op, str(error)) from None
            accesses.append((where, counts, found, mode))

    def _join_accesses(self, accesses: list[Found], columns: _Columns) -> None:
        """Put the accesses of a batch in the order of its ops, each op's in that of its keys."""
        if not accesses:
            return
        total = columns["accesses"] = np.zeros(columns.count, np.int64)
        for at, counts, _, _ in accesses:
            total[at] += 1 if counts is None else counts
        cursor = np.cumsum(total) - total
        ranges, modes = np.empty(total.sum(), np.int32), np.empty(total.sum(), np.uint8)
        for at, counts, found, mode in accesses:
            place = cursor[at]
            if counts is not None:
                place = np.repeat(place - (np.cumsum(counts) - counts), counts)
                place += np.arange(len(found))
            ranges[place] = found
            modes[place] = mode
            cursor[at] += 1 if counts is None else counts
        self._access_parts.append((ranges, modes))

    def finish(
        self,
        header: o.Header,
        path: str = "-",
        *,
        header_extras: Mapping[str, Any] | None = None,
        damage: Damage | None = None,
        gaps: Iterable[Gap] = (),
    ) -> Trace:
        """Make the Trace.

        Raises:
            OpError: an op contradicts the format: a range outside its buffer.
        """
        columns = {key: self._whole(key) for key in _DEFAULTS}
        start = np.zeros(self.count + 1, np.int64)
        np.cumsum(columns.pop("accesses"), out=start[1:])
        empty = (np.zeros(0, np.int32), np.zeros(0, np.uint8))
        access = self._access_parts or [empty]
        rows = np.array(self._ranges.rows, dtype=np.int64).reshape(-1, 4)
        ranges = Ranges(
            rows[:, 0].astype(np.int32), rows[:, 1].copy(), rows[:, 2].copy(),
            rows[:, 3].astype(np.int32), tuple(self._ranges.views),
        )  # fmt: skip
        trace = Trace(
            header=header, names=tuple(self._names.table), **columns, tags=tuple(self._tags),
            extras=self._extras, access_start=start,
            access_range=np.concatenate([index for index, _ in access]),
            access_mode=np.concatenate([mode for _, mode in access]), ranges=ranges, path=path,
            header_extras=dict(header_extras or {}), damage=damage, gaps=tuple(gaps),
        )  # fmt: skip
        check_ranges(trace)
        return trace

    def _whole(self, key: str) -> NDArray[Any]:
        dtype, default = _DEFAULTS[key]
        column = np.full(self.count, default, dtype)
        for start, part in self._parts.pop(key):
            column[start : start + len(part)] = part
        return column


class _Columns(dict[str, NDArray[Any]]):
    """The columns of one batch; a missing one holds its default everywhere."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __missing__(self, key: str) -> NDArray[Any]:
        dtype, default = _DEFAULTS[key]
        column = self[key] = np.full(self.count, default, dtype)
        return column

    def put(
        self,
        key: str,
        at: At,
        values: list[Any],
        default: object,
        index: Callable[[Any], int] | None = None,
    ) -> None:
        """Set a column at some ops, unless all values are the default; None is left unset."""
        if values.count(default) == len(values):
            return
        dtype, unset = _DEFAULTS[key]
        if index is not None:
            self[key][at] = np.fromiter(map(index, values), dtype, len(values))
        elif default is None and None in values:
            self[key][at] = [unset if value is None else value for value in values]
        else:
            self[key][at] = np.array(values, dtype)

    def add_bits(self, at: At, codes: list[int], place: int) -> None:
        """Set one field of the ``bits`` column at some ops."""
        if codes.count(0) != len(codes):
            self["bits"][at] |= np.array(codes, np.uint16) << np.uint16(4 * place)


def _captured(op: o.GraphCapture, field: str) -> tuple[o.RangeSpec, ...]:
    """Give a capture's own set, or that of its nodes where it has no sets of its own."""
    if op.nodes is None or op.reads or op.writes:
        return op.reads if field == "reads" else op.writes
    return node_sets(op.nodes)[field == "writes"]


def _first_bad(mine: Sequence[Any], at: At, field: str) -> int:
    table = RangeTable(Names())
    for i, op in zip(at.tolist(), mine, strict=True):
        given = getattr(op, field)
        for spec in (given,) if field in SINGLE_RANGES else given or ():
            try:
                if spec is not None:
                    table[spec]
            except ValueError:
                return int(i)
    return int(at[0])


def from_ops(ops: Iterable[o.OpBase], header: o.Header | None = None, path: str = "-") -> Trace:
    """Make a Trace of op values."""
    builder = TraceBuilder()
    builder.add(list(ops))
    return builder.finish(header or o.Header(), path)


__all__ = ["OpError", "TraceBuilder", "check_ranges", "check_sites", "from_ops"]
