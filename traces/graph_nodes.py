"""The nodes of a captured graph: ops that run at each launch, in the order of their ``after``.

A capture that gives ``nodes`` needs no ``reads`` and ``writes`` of its own: they are its nodes'.
A node needs no ``stream``: it runs where its graph is launched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.layout import LAYOUTS, READ, SINGLE_RANGES, WRITE


class Node(NamedTuple):
    """One node: its op, the nodes before it, and (mode, range) of its accesses."""

    op: o.OpBase
    after: tuple[int, ...]
    accesses: tuple[tuple[int, o.RangeSpec], ...]


def parse_node(node: Mapping[str, Any]) -> Node:
    """Read a node of a capture.

    Raises:
        ValueError: an unknown op.
        msgspec.ValidationError: a key that is missing or of the wrong type.
    """
    word = node.get("op")
    if word not in o.WORDS:
        raise ValueError(f"unknown op {str(word)[:80]!r}")
    cls = o.OPS[o.WORDS.index(word)]
    known = {*cls.__struct_encode_fields__, "op"}
    given = {key: value for key, value in node.items() if key in known}
    if LAYOUTS[cls].stream:
        given.setdefault("stream", "")
    op = msgspec.convert(given, cls)
    accesses: list[tuple[int, o.RangeSpec]] = []
    for field, mode in LAYOUTS[cls].ranges:
        value = getattr(op, field)
        if mode in (READ, WRITE) and value is not None:
            specs = (value,) if field in SINGLE_RANGES else value
            accesses.extend((mode, spec) for spec in specs)
    return Node(op, tuple(node.get("after") or ()), tuple(accesses))


def node_sets(
    nodes: Sequence[Mapping[str, Any]],
) -> tuple[tuple[o.RangeSpec, ...], tuple[o.RangeSpec, ...]]:
    """Give what all nodes read and what they write, each range once."""
    reads: dict[o.RangeSpec, None] = {}
    writes: dict[o.RangeSpec, None] = {}
    for node in nodes:
        for mode, spec in parse_node(node).accesses:
            (reads if mode == READ else writes)[spec] = None
    return tuple(reads), tuple(writes)
