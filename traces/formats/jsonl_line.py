"""One line of a trace, decoded with care: unknown keys kept, mistakes told apart from damage."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.layout import LAYOUTS, SINGLE_RANGES
from streamsan.traces.words import in_words, printable


@cache
def decoder() -> msgspec.json.Decoder[o.AnyOp]:
    """Give the decoder of ops, made at the first use: readers of other formats need none."""
    return msgspec.json.Decoder(o.AnyOp)


CLASS_OF: dict[str, type[o.OpBase]] = dict(zip(o.WORDS, o.OPS, strict=True))

_STRIDED = frozenset(o.StridedRange.__struct_fields__)
_KNOWN = {cls: frozenset((*cls.__struct_encode_fields__, "op")) for cls in o.OPS}


class NotJson(Exception):  # noqa: N818  (damage is no error)
    """Raised where a line is not JSON: damage of the container."""


def decode_line(line: bytes) -> tuple[o.OpBase, dict[str, Any]]:
    """Give the op of a line and its unknown keys.

    Unknown keys of a strided range stand under a path: ``"/reads/0"``, ``"/src"``.

    Raises:
        NotJson: the line is not JSON, or not UTF-8.
        ValueError: its content contradicts the format.
    """
    try:
        return decoder().decode(line), {}
    except RecursionError:
        raise ValueError("nests too deep") from None
    except msgspec.ValidationError:
        pass  # an unknown key or a mistake, unless it is no JSON further on
    except ValueError as error:
        raise NotJson(printable(str(error))) from None
    return _decode_keys(_untyped(line))


def _untyped(line: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(line)
    except RecursionError:
        raise ValueError("nests too deep") from None
    except msgspec.ValidationError as error:
        raise ValueError(in_words(error)) from None
    except ValueError as error:
        raise NotJson(printable(str(error))) from None
    if not isinstance(given, dict):
        raise ValueError(f"an op is an object, not {str(given)[:40]!r}")  # noqa: TRY004
    return given


def _decode_keys(given: dict[str, Any]) -> tuple[o.OpBase, dict[str, Any]]:
    if "op" not in given:
        raise ValueError("the required key 'op' is missing")
    word = given["op"]
    if not isinstance(word, str) or word not in CLASS_OF:
        near = get_close_matches(str(word)[:80], CLASS_OF, 1)
        hint = f"; is it {near[0]!r}?" if near else ""
        raise ValueError(f"unknown op {str(word)[:80]!r}{hint}")
    cls = CLASS_OF[word]
    known = {key: value for key, value in given.items() if key in _KNOWN[cls]}
    unknown = {key: value for key, value in given.items() if key not in known}
    for field, _ in LAYOUTS[cls].ranges:
        if field in known:
            known[field] = _split_ranges(field, known[field], unknown)
    try:
        return msgspec.convert(known, cls), unknown
    except RecursionError:
        raise ValueError("nests too deep") from None
    except msgspec.ValidationError as error:
        raise ValueError(f"{word}: {in_words(error)}") from None


def _split_ranges(field: str, given: Any, unknown: dict[str, Any]) -> Any:
    """Give a field's ranges without the unknown keys of its strided ones."""
    single = field in SINGLE_RANGES
    if not single and not isinstance(given, list):
        return given
    kept = []
    for i, spec in enumerate([given] if single else given):
        if isinstance(spec, dict) and not _STRIDED.issuperset(spec):
            path = f"/{field}" if single else f"/{field}/{i}"
            unknown[path] = {key: spec[key] for key in spec if key not in _STRIDED}
            kept.append({key: spec[key] for key in spec if key in _STRIDED})
        else:
            kept.append(spec)
    return kept[0] if single else kept
