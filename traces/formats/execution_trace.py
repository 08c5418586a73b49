"""PyTorch execution traces (Chakra): which tensors each operator read and wrote.

An execution trace has no streams and no times (section 7 of the page on trace sources). Joined to
the PyTorch profiler file of the same run (``kineto_join``) it gives that file's device work its
reads and writes. This module defines no ``FORMAT``: alone, such a file is no trace to lint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from streamsan.traces.errors import TraceError
from streamsan.traces.formats.container import MAX_BYTES as CONTENT_BYTES
from streamsan.traces.formats.container import open_content, paused_gc
from streamsan.traces.model import Damage, Trace

MAX_BYTES = 1 << 30
"""Decompressed bytes of one execution trace."""

_OVERWRITES = frozenset({
    "aten::copy_", "aten::zero_", "aten::fill_", "aten::normal_", "aten::uniform_",
})  # fmt: skip
"""Operators in place that do not read what they write."""
_DEPTH = 4
_TENSOR = 6
_MAX = 2**40


class _Attribute(Struct):
    name: str = ""
    value: Any = None


class _Node(Struct):
    """A node of either generation: flat, or with ``values`` and ``attrs``."""

    name: str = ""
    rf_id: int | None = None
    op_schema: str = ""
    inputs: Any = None
    outputs: Any = None
    attrs: tuple[_Attribute, ...] = ()


class _File(Struct):
    schema: str = ""
    nodes: tuple[_Node, ...] | None = None


class Tensor(NamedTuple):
    """A tensor's bytes: its storage, where in it they begin, how many, and on which device."""

    storage: int
    offset: int
    length: int
    device: str


class Node(NamedTuple):
    """What an operator read and wrote, in the order of its arguments and results.

    ``is_whole``: it says what it writes. A range around calls, such as ``nccl:all_reduce``, may
    name its arguments alone.
    """

    name: str
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    is_whole: bool


class Execution(NamedTuple):
    """An execution trace: its nodes by record function id, in the order of their begin."""

    path: str
    nodes: dict[int, Node]


def load_execution(path: str) -> Execution:
    """Read an execution trace, plain or compressed.

    Raises:
        TraceError: it cannot be read, is too large, or is no execution trace.
    """
    with open_content(path, max_bytes=MAX_BYTES) as content, paused_gc():
        data = content.file.read()
        if content.damage is not None:
            raise TraceError(path, None, f"execution trace: {content.damage}")
        try:
            found = msgspec.json.decode(data, type=_File)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise TraceError(path, None, "not a PyTorch execution trace") from None
        if found.nodes is None or not found.schema:
            raise TraceError(path, None, "not a PyTorch execution trace: it has no nodes")
        nodes = {}
        for node in found.nodes:
            key = _function(node)
            if key:  # 0 stands for the process and its threads
                nodes[key] = _node(node)
    return Execution(path, dict(sorted(nodes.items())))


def load_joined(path: str, execution: str, *, max_bytes: int = CONTENT_BYTES) -> Trace:
    """Read a PyTorch profiler file with the execution trace of the same run.

    Args:
        path: the profiler file.
        execution: the execution trace.
        max_bytes: refuse a profiler file of more decompressed bytes.

    Raises:
        TraceError: one of them cannot be read or is of another kind, or the two are not of one
            run.
    """
    from streamsan.traces.formats import kineto  # which imports this module

    known = load_execution(execution)
    with open_content(path, max_bytes=max_bytes) as content:
        if not kineto.FORMAT.sniff(content.head()):
            raise TraceError(path, None, "no PyTorch profiler file: an execution trace joins "
                             "only to one of these")  # fmt: skip
        trace = kineto.read(content.file, content.source, known)
        if content.damage is None:
            return trace
        damage = trace.damage or Damage("", len(trace), None, None)
        words = "; ".join(filter(None, (content.damage, damage.reason)))
        return replace(trace, damage=damage._replace(reason=words))


def _function(node: _Node) -> int | None:
    """Give the id that the profiler calls the record function's."""
    if node.rf_id is not None:
        return node.rf_id
    value = _attribute(node, "rf_id")
    return value if isinstance(value, int) else None


def _attribute(node: _Node, name: str) -> Any:
    return next((each.value for each in node.attrs if each.name == name), None)


def _node(node: _Node) -> Node:
    schema = node.op_schema or _attribute(node, "op_schema")
    inputs = _values(node.inputs)
    outputs = [tensor for value in _values(node.outputs) for tensor in _tensors(value)]
    mutated = _mutated(schema if isinstance(schema, str) else "")
    reads: list[Tensor] = []
    writes: list[Tensor] = []
    for place, value in enumerate(inputs):
        given = list(_tensors(value))
        is_overwritten = place in mutated and (mutated[place] or node.name in _OVERWRITES)
        if not is_overwritten:
            reads += given
        if place in mutated:
            writes += given
    held = {tensor.storage for value in inputs for tensor in _tensors(value)}
    # A result in the storage of an argument is a view of it, unless the name ends as those of
    # operators in place do (the schemas of c10d carry no marks), or there is no schema.
    in_place = not schema or node.name.endswith("_")
    writes += [t for t in outputs if t.storage not in held or in_place]
    is_whole = bool(writes) or (bool(schema) and bool(reads))
    return Node(
        node.name[:1000], tuple(dict.fromkeys(reads)), tuple(dict.fromkeys(writes)), is_whole
    )


def _values(given: Any) -> list[Any]:
    if isinstance(given, dict):
        given = given.get("values")
    return given if isinstance(given, list) else []


def _tensors(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """Give the tensors in a value, which may be a list of them.

    One is ``[tensor id, storage id, offset, elements, bytes of an element, device]``; offset
    counts elements. Strides are not there: the bytes of a view in pieces are taken as adjacent.
    """
    if not isinstance(value, list) or depth > _DEPTH:
        return
    numbers = value[: _TENSOR - 1]
    if len(value) >= _TENSOR and isinstance(value[_TENSOR - 1], str):
        if all(type(n) is int and 0 <= n < _MAX for n in numbers):
            _, storage, offset, count, size = numbers
            if count * size:
                yield Tensor(storage, offset * size, count * size, value[_TENSOR - 1][:20])
        return
    for inner in value:
        yield from _tensors(inner, depth + 1)


@lru_cache(4096)
def _mutated(schema: str) -> dict[int, bool]:
    """Give the places of arguments that an operator writes, and whether it only writes them.

    A schema marks them with ``!``, as in ``aten::add_(Tensor(a!) self, Tensor other)``; those
    that are called ``out`` are not read.
    """
    start = schema.find("(")
    found: dict[int, bool] = {}
    place = depth = 0
    word = ""
    for letter in schema[start + 1 :] if start >= 0 else "":
        depth += (letter in "([") - (letter in ")]")
        if depth < 0 or (depth == 0 and letter == ","):
            if word.strip() != "*":
                if "!" in word:
                    found[place] = word.rsplit(maxsplit=1)[-1].startswith("out")
                place += 1
            word = ""
            if depth < 0:
                break
        else:
            word += letter
    return found
