"""What the tests of the formats share: equality of traces, and traces made at random."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from streamsan.traces import ops as o
from streamsan.traces.build import OpError, TraceBuilder
from streamsan.traces.layout import LAYOUTS, SINGLE_RANGES
from streamsan.traces.model import Trace

NAMES = ["a", "b", "c", "0", "ptds", "main", 7, "Ü", '"\\\n']
_COLUMNS = ("kind", "bits", "device", "site", "number", "t", "t_end", "begin", "end")
_NAME_COLUMNS = ("stream_name", "thread", "obj", "name", "via")


def equal(a: Trace, b: Trace) -> bool:
    """Tell whether two traces say the same; only the order inside their tables may differ."""

    def named(trace: Trace, key: str) -> list[str | None]:
        return [None if i < 0 else trace.names[i] for i in getattr(trace, key).tolist()]

    def tags(trace: Trace) -> list[Any]:
        decoded = [msgspec.json.decode(tag) for tag in trace.tags]
        return [None if i < 0 else decoded[i] for i in trace.tag.tolist()]

    def accesses(trace: Trace) -> list[Any]:
        r = trace.ranges
        rows = [
            (trace.names[n], offset, length, None if s < 0 else r.views[s])
            for n, offset, length, s in zip(
                *(x.tolist() for x in (r.name, r.offset, r.length, r.strided)), strict=True
            )
        ]
        return [rows[i] for i in trace.access_range.tolist()]

    def same(key: str) -> bool:
        left, right = getattr(a, key), getattr(b, key)
        return left.dtype == right.dtype and np.array_equal(left, right)

    return (
        all(same(key) for key in (*_COLUMNS, "access_start", "access_mode"))
        and all(named(a, key) == named(b, key) for key in _NAME_COLUMNS)
        and tags(a) == tags(b)
        and accesses(a) == accesses(b)
        and dict(a.extras) == dict(b.extras)
        and a.header == b.header
        and dict(a.header_extras) == dict(b.header_extras)
        and (a.damage, a.gaps) == (b.damage, b.gaps)
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
_STRIDED = st.builds(
    lambda buffer, dims, itemsize, offset: o.StridedRange(
        buffer, tuple(n for n, _ in dims), tuple(s for _, s in dims), itemsize, offset
    ),
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-20, 20)), max_size=3),
    st.integers(1, 8),
    st.integers(200, 300),
)
RANGE = st.one_of(
    st.sampled_from(["a", "b", "c"]),
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 99), st.integers(0, 99)),
    _STRIDED,
)
NODES = st.lists(
    st.sampled_from(
        [{"op": "launch", "stream": "s", "writes": [["a", 0, 4]], "unknown": 1}, {"op": "mark"}]
    ),
    max_size=2,
).map(tuple)


def _of_type(hint: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    if hint == o.StreamName:
        return st.sampled_from(NAMES)
    if typing.get_origin(hint) is typing.Annotated:
        base, meta = typing.get_args(hint)
        assert base is int
        low = meta.ge if meta.ge is not None else 0
        return st.integers(low + (low == -(2**63)), meta.le) | st.integers(0, 3)
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(typing.get_args(hint))
    if hint == tuple[o.StreamName, ...]:
        return st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)
    if hint is bool:
        return st.booleans()
    if hint is int:  # of a name
        return st.just(7)
    if hint is str:
        return st.sampled_from(NAMES[:6])
    if hint is Any:
        return JSON
    assert typing.get_origin(hint) is not None, hint
    return st.one_of([_of_type(part) for part in typing.get_args(hint) if part is not type(None)])


def _field(cls: type[o.OpBase], name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name in dict(LAYOUTS[cls].ranges):
        return RANGE if name in SINGLE_RANGES else st.lists(RANGE, max_size=3).map(tuple)
    if name == "nodes":
        return NODES
    if name == "tag":
        return st.dictionaries(st.text(max_size=3), JSON, max_size=2)
    if name == "site":
        return st.integers(0, 1)
    return _of_type(hint)


def op_of(cls: type[o.OpBase]) -> st.SearchStrategy[o.OpBase]:
    """Make ops of one kind, with any of its keys."""
    hints = typing.get_type_hints(cls, include_extras=True)
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(cls):
        target = required if field.required else optional
        target[field.name] = _field(cls, field.name, hints[field.name])
    return st.fixed_dictionaries(required, optional=optional).map(lambda keys: cls(**keys))


OPS = st.one_of([op_of(cls) for cls in o.OPS])
_UNKNOWN = st.dictionaries(st.sampled_from(["x", "later", "é"]), JSON, max_size=2)


@st.composite
def traces(draw: st.DrawFn, ops: st.SearchStrategy[o.OpBase] = OPS) -> Trace:
    """Make traces of any ops that the builder takes."""
    given = draw(st.lists(st.tuples(ops, _UNKNOWN), max_size=6))
    header = o.Header(
        name=draw(st.none() | st.text(max_size=3)),
        complete=o.Complete(host=draw(st.booleans())),
        devices=({"id": 0},),
        rank=draw(st.none() | st.integers(0, 3)),
        semantics=o.Semantics(managed_memset_blocks=draw(st.booleans())),
        sites=(("f.py:1 f",), ("g.py:2 g", "f.py:3 f")),
    )
    extras = draw(st.fixed_dictionaries({}, optional={"k": JSON, "complete": st.just({"new": 1})}))
    for keep in (given, []):
        builder = TraceBuilder()
        builder.add([op for op, _ in keep], {i: keys for i, (_, keys) in enumerate(keep) if keys})
        try:
            return builder.finish(header, header_extras=extras)
        except OpError:  # a range outside its buffer: the next one is empty
            continue
    raise AssertionError
