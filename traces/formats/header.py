"""Line 1 of a trace, both ways, with everything in it that this version does not know.

Two keys beyond those of the format carry what a Trace knows of itself, so that converting loses
nothing: ``damage`` (rule SO901) and ``gaps`` (rule SO902).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.check import is_deep
from streamsan.traces.model import Damage, Gap, Trace
from streamsan.traces.words import in_words

_NESTED: dict[str, type[msgspec.Struct]] = {"complete": o.Complete, "semantics": o.Semantics}


class ParsedHeader(NamedTuple):
    """A header, the keys that it does not know, and what it says of the trace's own state."""

    header: o.Header
    extras: dict[str, Any]
    damage: Damage | None
    gaps: tuple[Gap, ...]


def parse_header(line: bytes) -> ParsedHeader:
    """Read line 1.

    Raises:
        ValueError: it is no header of a streamsan trace, or one of another version.
    """
    try:
        given = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:  # msgspec's errors and Unicode's are ValueErrors
        raise ValueError(f"no streamsan header: {error}") from None
    if not isinstance(given, dict):
        raise ValueError(f"no streamsan header: an object is needed, not {str(given)[:40]!r}")  # noqa: TRY004
    _check_word(given)
    if is_deep(given):
        raise ValueError("header: nests too deep")
    state = {key: given.pop(key) for key in ("damage", "gaps") if key in given}
    known = {key: given.pop(key) for key in o.Header.__struct_fields__ if key in given}
    try:
        header = msgspec.convert(known, o.Header)
        damage = _state(state, "damage", Damage)
        gaps = _state(state, "gaps", tuple[Gap, ...])
    except msgspec.ValidationError as error:
        raise ValueError(f"header: {in_words(error)}") from None
    extras = given | state
    for key, cls in _NESTED.items():
        rest = {k: v for k, v in known.get(key, {}).items() if k not in cls.__struct_fields__}
        if rest:
            extras[key] = rest
    return ParsedHeader(header, extras, damage, gaps or ())


def _check_word(given: dict[str, Any]) -> None:
    if "format" not in given:
        what = "this is an op" if "op" in given else "it has no key 'format'"
        raise ValueError(f"no streamsan header: {what}")
    if given["format"] != "streamsan-trace":
        word = str(given["format"])[:80]
        raise ValueError(f"the format is {word!r}, not 'streamsan-trace'")
    version = given.get("version")
    if type(version) is not int or version != 1:
        raise ValueError(f"version {str(version)[:80]} is not known: this reads version 1")


def _state(state: dict[str, Any], key: str, wanted: Any) -> Any:
    """Take a key out of the state where it has our shape; another's is an unknown key."""
    value = state.get(key)
    fields = Damage._fields if key == "damage" else Gap._fields
    items: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) and set(item) == set(fields) for item in items):
        return None
    rows = [[item[field] for field in fields] for item in items]
    if not rows:
        return None
    found = msgspec.convert(rows if wanted is not Damage else rows[0], wanted)
    del state[key]
    return found


def check_gaps(gaps: Iterable[Gap], ops: int) -> None:
    """Raise ValueError where a gap names an op that the trace does not have."""
    for gap in gaps:
        if gap.op is not None and not 0 <= gap.op < ops:
            raise ValueError(f"header: a gap names op {gap.op} of a trace of {ops} ops")


def header_dict(trace: Trace) -> dict[str, Any]:
    """Give line 1 of a trace: what differs from the defaults, and all that was unknown."""
    header, plain = trace.header, o.Header()
    found: dict[str, Any] = {"format": header.format, "version": header.version}
    for key in o.Header.__struct_fields__[2:]:
        value, default = getattr(header, key), getattr(plain, key)
        if value == default:
            continue
        found[key] = value
        if key in _NESTED:
            given = msgspec.structs.asdict(value)
            found[key] = {k: v for k, v in given.items() if v != getattr(default, k)}
    for key, value in trace.header_extras.items():
        if key in _NESTED and isinstance(value, dict):
            found[key] = found.get(key, {}) | value
        else:
            found[key] = value
    if trace.damage is not None:
        found["damage"] = trace.damage._asdict()
    if trace.gaps:
        found["gaps"] = [gap._asdict() for gap in trace.gaps]
    return found
