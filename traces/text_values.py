"""Tokens and values of the mini-language, both ways; see ``traces/text.py``.

Every function raises ValueError with one readable line where the text is wrong.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.layout import LAYOUTS, SINGLE_RANGES

if TYPE_CHECKING:
    from collections.abc import Iterator

BARE = re.compile(r"(?:(?!->)[\w.$%+*-])+")
"""A name that needs no quotes. Any other is written as a JSON string."""
STRING = r'"(?:[^"\\\n]|\\.)*"'
NAME = rf"(?:{STRING}|{BARE.pattern})"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TOKEN = re.compile(rf"{STRING}|->|→|[^\S\n]+|.", re.DOTALL)
_OPEN, _CLOSE = "[{", "]}"
_ALONE = {"->": "->", "→": "->", ";": ";", "#": ""}
_RANGE = re.compile(rf"({NAME})(?:\[(.*)\])?", re.DOTALL)
_SPAN = re.compile(r"\s*([0-9]{0,19})\s*:\s*([0-9]{1,19})\s*")
_INTS = frozenset({"device", "site", "t", "t_end", "begin", "end", "offset"})
_NUMBERS = {"shape": "dimensions", "strides": "bytes", "itemsize": "bytes"}
_STREAM_OPERAND = (o.StreamCreate, o.StreamDestroy, o.StreamSynchronize, o.StreamQuery)
_OTHER_STREAM = (o.Malloc, o.RecordStream)


class Shape(NamedTuple):
    """How one op is written: operands that must stand first, words, operands that may follow."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Fields of few values, told by the value alone: ``pinned``, ``D2H``, ``blocking``."""
    on_stream: bool = False


def _shape(cls: type[o.OpBase]) -> Shape:
    """Derive the shape of an op from the places of its fields."""
    layout = LAYOUTS[cls]
    needs: list[str] = [layout.obj] if layout.obj else []
    needs += [f for f, _ in layout.ranges if f in SINGLE_RANGES and layout.obj is None]
    if "value" in (layout.obj, layout.number):
        needs.append("value")
    may = [f for f in (layout.number,) if f in ("bytes", "version", "expects_version")]
    may = [f for f, _ in layout.ranges if f in ("source", "value")] + [f for f in may if f]
    words = [f for f, _ in layout.bits if f not in ("wait", "src_access")]
    on_stream = layout.stream and cls not in _STREAM_OPERAND and cls not in _OTHER_STREAM
    if cls in _STREAM_OPERAND:
        needs = ["stream"]
    if cls is o.RecordStream:
        needs.append("stream")
    if cls in (o.Launch, o.HostFunc, o.Mark, o.RegionBegin, o.RegionEnd):
        may = ["name"]
    if cls is o.DeviceSynchronize:
        may = ["device"]
    return Shape(tuple(needs), tuple(may), tuple(words), on_stream)


SHAPES = {word: _shape(cls) for word, cls in zip(o.WORDS, o.OPS, strict=True)}


def tokens(text: str) -> Iterator[str]:
    """Split one line at white space and arrows; ``;`` is a token, a comment ends the line.

    White space inside quotes, brackets and braces splits nothing.
    """
    depth, token = 0, ""
    for match in _TOKEN.finditer(text):
        piece = match.group()
        depth += _step(piece, depth)
        if depth or not (piece.isspace() or piece in _ALONE):
            token += piece
            continue
        if token and piece == "#":
            raise ValueError("a comment begins after white space: put a name with '#' in quotes")
        yield from (part for part in (token, _ALONE.get(piece, "")) if part)
        token = ""
        if piece == "#":
            return
    if depth:
        raise ValueError("a bracket is never closed")
    if token:
        yield token


def _step(piece: str, depth: int) -> int:
    """Tell how a piece changes the depth of brackets."""
    if piece == '"':
        raise ValueError("a quote is never closed")
    step = (piece in _OPEN) - (piece in _CLOSE)
    if depth + step < 0:
        raise ValueError(f"{piece!r} closes nothing")
    return step


def split(text: str) -> list[str]:
    """Split at commas outside quotes, brackets and braces; an empty text is no parts."""
    parts, depth = [""], 0
    for match in _TOKEN.finditer(text):
        piece = match.group()
        depth += (piece in _OPEN) - (piece in _CLOSE)
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts if text else []


def read_name(text: str) -> str:
    """Read a bare name or a JSON string."""
    if text.startswith('"'):
        return str(read_json(text))
    if not BARE.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no name: put odd characters in double quotes")
    return text


def read_scalar(text: str) -> str | int:
    """Read an integer, or a name; a quoted number is a name."""
    return int(text) if _INTEGER.fullmatch(text) else read_name(text)


def read_int(text: str) -> int:
    """Read an integer."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no integer")
    return int(text)


def read_json(text: str) -> Any:
    """Read a JSON value; a bare word that is none stands for itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if BARE.fullmatch(text):
            return text
        raise ValueError(f"{text[:80]!r} is no JSON value") from None


def read_range(text: str) -> Any:
    """Read ``a``, ``a[0:100]`` or ``a[8 shape=4,2 strides=64,4 itemsize=4]``."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no range: a, a[0:100] or a[0 shape=.. strides=..]")
    name, inner = read_name(match[1]), match[2]
    if inner is None:
        return name
    span = _SPAN.fullmatch(inner)
    if span is None:
        return _read_view(name, inner)
    start, stop = int(span[1] or 0), int(span[2])
    if stop < start:
        raise ValueError(f"range {text[:80]!r} ends before it begins")
    return [name, start, stop - start]


def _read_view(name: str, inner: str) -> dict[str, Any]:
    offset, *rest = inner.split() or [""]
    if "=" in offset:
        offset, rest = "0", [offset, *rest]
    view: dict[str, Any] = {"buffer": name, "offset": read_int(offset)}
    for part in rest:
        key, _, value = part.partition("=")
        if key not in _NUMBERS or key in view:
            raise ValueError(f"{part[:80]!r}: a view has one each of shape, strides and itemsize")
        numbers = [read_int(n) for n in split(value)]
        view[key] = read_int(value) if key == "itemsize" else numbers
    missing = [key for key in _NUMBERS if key not in view]
    if missing:
        raise ValueError(f"range [{inner[:80]}] is neither start:stop nor a view: no {missing[0]}")
    return view


def read_field(cls: type[o.OpBase], field: str, text: str) -> Any:
    """Read the value of one field of an op."""
    layout = LAYOUTS[cls]
    if field in dict(layout.ranges):
        if field in SINGLE_RANGES:
            return read_range(text)
        return [read_range(part) for part in split(text)]
    if field == layout.number or field in _INTS:
        return read_int(text)
    if field in ("tag", "nodes", "async") or (cls is o.EventCreate and field == "flags"):
        return read_json(text)
    if field in ("ranks", "signals", "awaits"):
        return [read_scalar(part) for part in split(text)]
    return read_scalar(text) if field in ("rank", "address") else read_name(text)


def show_name(name: str) -> str:
    """Write a name, quoted where it must be."""
    return name if BARE.fullmatch(name) else json.dumps(name)


def show_scalar(value: str | int) -> str:
    """Write a name or an integer so that it is read as what it is."""
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        return show_name(value)
    return json.dumps(value)


def show_json(value: Any) -> str:
    """Write a JSON value, a word bare where it is read back as itself."""
    text = json.dumps(value, separators=(",", ":"))
    if isinstance(value, str) and BARE.fullmatch(value) and read_json(value) is value:
        return value
    return text


def show_range(spec: o.RangeSpec) -> str:
    """Write a range."""
    if isinstance(spec, str):
        return show_name(spec)
    if isinstance(spec, tuple):
        name, offset, length = spec
        return f"{show_name(name)}[{offset}:{offset + length}]"
    shape, strides = (",".join(map(str, part)) for part in (spec.shape, spec.strides))
    return (
        f"{show_name(spec.buffer)}[{spec.offset} shape={shape} strides={strides} "
        f"itemsize={spec.itemsize}]"
    )


def show_field(cls: type[o.OpBase], field: str, value: Any) -> str:
    """Write the value of one field of an op."""
    if field in dict(LAYOUTS[cls].ranges):
        if field in SINGLE_RANGES:
            return show_range(value)
        return ",".join(map(show_range, value))
    if field in ("tag", "nodes") or (cls is o.EventCreate and field == "flags"):
        return show_json(value)
    if field in ("ranks", "signals", "awaits"):
        return ",".join(map(show_scalar, value))
    if field in ("rank", "address"):
        return show_scalar(value)
    return str(value) if isinstance(value, int) else show_name(value)
