"""Single events that the fast decoder refused: unusual values, and broken JSON.

Kineto wrote names without escaping what stands in them (section 4 of the page on trace sources:
quotes, control bytes, backslashes, bytes that are not UTF-8). Each repair is tried on the text
of one event, and only if the result is a JSON object is the event used.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from streamsan.traces.formats.kineto_events import NO_ARGS, Args, Event

_KEYS = "ph|cat|name|pid|tid|ts|dur|args|id|bp|s"
_NAME = re.compile(r'"name"\s*:\s*"')
_NAME_END = re.compile(rf'"\s*(?:,\s*"(?:{_KEYS})"\s*:|\}})')
_QUOTE = re.compile(r'(?<!\\)"')
_MAX_REPAIR = 1 << 20
_LONE_BACKSLASH = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_HALF_KEY = re.compile(r'([{,]\s*)([A-Za-z_]+"\s*:)')


def lenient(piece: bytes) -> Event | None:
    """Read an event whose JSON is fine though a value has another type than usual."""
    try:
        return _event(_loads(piece.decode()))
    except (ValueError, RecursionError):
        return None


def repair(piece: bytes) -> Event | None:
    """Read an event whose JSON is broken; None if no repair makes an event of it."""
    if len(piece) > _MAX_REPAIR:
        return None
    text = piece.decode(errors="replace")
    attempts = (
        lambda t: t,  # control bytes, NaN, Infinity, bytes that are not UTF-8
        lambda t: _HALF_KEY.sub(r'\1"\2', t),
        lambda t: _LONE_BACKSLASH.sub(r"\\\\", t),
        lambda t: _LONE_BACKSLASH.sub(r"\\\\", _escape_name(t)),
    )
    for attempt in attempts:
        try:
            return _event(_loads(attempt(text)))
        except (ValueError, RecursionError):
            continue
    return None


def _escape_name(text: str) -> str:
    """Escape the quotes within the name: it ends before the next key of an event."""
    start = _NAME.search(text)
    end = _NAME_END.search(text, start.end()) if start else None
    if start is None or end is None:
        return text
    name = _QUOTE.sub(r"\"", text[start.end() : end.start()])
    return text[: start.end()] + name + text[end.start() :]


def _loads(text: str) -> Any:
    # Decimals, because a float would lose digits of a time.
    return json.loads(text, strict=False, parse_float=Decimal)


def _event(found: Any) -> Event:
    """Take what is usable of a decoded event.

    Raises:
        ValueError: it is not an object.
    """
    if not isinstance(found, dict):
        raise ValueError("an event is an object")  # noqa: TRY004
    args = found.get("args")
    return Event(
        name=_text(found.get("name")),
        ph=_text(found.get("ph")),
        cat=_text(found.get("cat")),
        pid=_id(found.get("pid")),
        tid=_id(found.get("tid")),
        ts=Raw(_text(found.get("ts")).encode()),
        dur=Raw(_text(found.get("dur")).encode()),
        args=_args(args) if isinstance(args, dict) else NO_ARGS,
    )


def _text(value: Any) -> str:
    """Give a value as text; lone surrogates, which no file can hold, are replaced."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value).encode(errors="replace").decode()


def _id(value: Any) -> int | str:
    return value if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _args(found: dict[str, Any]) -> Args:
    usable: dict[str, Any] = {}
    for f in msgspec.structs.fields(Args):
        value = found.get(f.encode_name)
        if value is None:
            continue
        try:
            usable[f.name] = msgspec.convert(_plain(value), f.type, strict=False)
        except msgspec.ValidationError:
            continue
    return Args(**usable)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
