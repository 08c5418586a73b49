"""A trace as a few lines of text, for tests, documents and rule docstrings; both ways.

One op a line; ``;`` separates ops on one line; ``#`` begins a comment. The line on which an op
runs stands before it: a stream, or a host thread where it is not ``main``::

    malloc h pinned 64            # a host op of thread main
    s1: launch fill w=a           # reads r=, writes w=: a list of ranges
    s1: memcpy a -> h[0:64] D2H   # asynchronous unless it says sync
    s1: record e
    s2: wait e
    sync e                        # event_synchronize, on thread main
    T2: host_read h               # a host op of thread T2
    T2/s1: launch use r=a         # issued to s1 by thread T2
    0@1: launch k w=b             # the legacy stream of device 1

Ranges are ``a``, ``a[0:100]`` (first byte and the one after the last) and, for strided views,
``a[8 shape=4,2 strides=64,4 itemsize=4]``. Every op's own word and every ``key=value`` of the
format are accepted; ``SHORT`` lists the short words. A name with odd characters is a JSON string;
``+key=value`` is a key that the format does not know. ``#! key value`` sets the header::

    #! semantics cuda_free_synchronizes=false
    #! complete memory=false
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces import text_values as v
from streamsan.traces.build import OpError, TraceBuilder, check_sites
from streamsan.traces.errors import TraceError
from streamsan.traces.layout import LAYOUTS
from streamsan.traces.text_show import format_trace
from streamsan.traces.text_values import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamsan.traces.model import Trace

SHORT = {
    "record": "event_record", "wait": "stream_wait_event", "sync": "event_synchronize",
    "query": "event_query", "stream_sync": "stream_synchronize", "copy": "memcpy",
    "device_sync": "device_synchronize", "read": "host_read", "write": "host_write",
    "wait_value": "stream_wait_value", "write_value": "stream_write_value",
    "store": "stream_write_value",
}  # fmt: skip
"""Short words; ``store`` is a ``stream_write_value`` by the host."""
_KEYS = {"r": "reads", "w": "writes"}


_PREFIX = re.compile(rf"(?:({v.NAME})/)?({v.NAME})(?:@([0-9]{{1,10}}))?:")
_OPERAND = re.compile(rf"({v.NAME})@([0-9]{{1,10}})")
_KEY = re.compile(rf"(\+?)({v.NAME})=(.*)", re.DOTALL)


def parse(text: str, source: str = "<text>") -> Trace:
    """Make a Trace of text.

    Raises:
        TraceError: a line that cannot be understood, or that contradicts the format.
    """
    header: dict[str, Any] = {}
    found: list[o.OpBase] = []
    unknown: dict[int, dict[str, Any]] = {}
    lines: list[int] = []
    named = _Named()
    number = 0
    try:
        text.encode()
        for number, line in enumerate(text.splitlines() if "\n" in text else [text], 1):
            if line.lstrip().startswith("#!"):
                _directive(line.lstrip()[2:], header)
                continue
            for statement in _statements(line):
                op, extra = _Statement(statement).read(named, number)
                if extra:
                    unknown[len(found)] = extra
                found.append(op)
                lines.append(number)
        named.check()
        return _build(found, unknown, header, source)
    except OpError as error:
        raise TraceError(source, lines[error.op], error.reason) from None
    except _LineError as error:
        raise TraceError(source, error.line, str(error)) from None
    except (ValueError, RecursionError) as error:  # msgspec.ValidationError is a ValueError
        raise TraceError(source, number or None, str(error) or "nests too deep") from None


def _build(
    found: list[o.OpBase], unknown: dict[int, dict[str, Any]], header: dict[str, Any], source: str
) -> Trace:
    builder = TraceBuilder()
    builder.add(found, unknown)
    own = {key: value for key, value in header.items() if not key.startswith("+")}
    extras = {key[1:]: value for key, value in header.items() if key.startswith("+")}
    trace = builder.finish(msgspec.convert(own, o.Header), source, header_extras=extras)
    check_sites(trace)
    return trace


def _directive(text: str, header: dict[str, Any]) -> None:
    """Read a header line: ``semantics`` and ``complete`` take switches, all else one value."""
    key, _, rest = text.strip().partition(" ")
    if key in ("semantics", "complete"):
        switches = header.setdefault(key, {})
        cls = o.Semantics if key == "semantics" else o.Complete
        for token in v.tokens(rest):
            name, _, value = token.partition("=")
            if name not in cls.__struct_fields__:
                raise ValueError(f"unknown switch {_nearest(name, cls.__struct_fields__)}")
            switches[name] = v.read_json(value)
        return
    known = set(o.Header.__struct_fields__) - {"format", "version"}
    if key not in known and not key.startswith("+"):
        raise ValueError(f"unknown header key {_nearest(key, sorted(known))}")
    header[key] = v.read_json(rest.strip())
    msgspec.convert({k: w for k, w in header.items() if k in known}, o.Header)


def _statements(line: str) -> Iterator[list[str]]:
    statement: list[str] = []
    for part in chain(v.tokens(line), ";"):
        if part != ";":
            statement.append(part)
        elif statement:
            yield statement
            statement = []


class _LineError(ValueError):
    """Something wrong that is only known at the end of the text."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


class _Named:
    """Which names stand for streams and which, before a colon, for threads."""

    def __init__(self) -> None:
        self.streams: set[str] = set()
        self.threads: dict[str, int] = {}

    def check(self) -> None:
        for name in self.threads.keys() & self.streams:
            raise _LineError(
                self.threads[name],
                f"{name!r} stands before a host op, so it is a thread, but it is also a stream; "
                f"leave it out, or write thread={name}",
            )


class _Statement:
    """One op on its way from tokens to a value."""

    def __init__(self, statement: list[str]) -> None:
        self.rest = statement
        self.fields: dict[str, Any] = {}
        self.unknown: dict[str, Any] = {}
        self.prefix = self._take_prefix()
        if not self.rest:
            raise ValueError("a line without an op")
        word = self.rest.pop(0)
        self.store = word == "store"
        self.word = SHORT.get(word, word)
        if self.word not in SHAPES:
            raise ValueError(f"unknown op {_nearest(word, [*SHAPES, *SHORT])}")
        self.shape = SHAPES[self.word]
        self.cls = o.OPS[o.WORDS.index(self.word)]
        self.words = {
            "sync" if c is False else "async" if c is True else str(c): (f.rstrip("_"), c)
            for f, choices in LAYOUTS[self.cls].bits
            for c in choices
            if f in self.shape.words
        }

    def _take_prefix(self) -> re.Match[str] | None:
        if len(self.rest) > 1 and self.rest[1] == ":":
            self.rest[:2] = [self.rest[0] + ":"]
        match = _PREFIX.match(self.rest[0])
        if match is None:
            return None
        left = self.rest[0][match.end() :]
        self.rest[:1] = [left] if left else []
        return match

    def read(self, named: _Named, line: int) -> tuple[o.OpBase, dict[str, Any]]:
        self._place(named, line)
        operands = list(self.shape.needs)
        for part in self.rest:
            key = _KEY.fullmatch(part) if not part.startswith('"') else None
            if part == "->":
                if self.word != "memcpy" or operands != ["dst"]:
                    raise ValueError("an arrow stands between the two ranges of a memcpy")
            elif operands and not key:
                self._operand(operands.pop(0), part)
            elif part in self.words:
                field, value = self.words[part]
                self._set(field, value)
            elif key:
                self._key(key)
                operands = [f for f in operands if f not in self.fields]
            else:
                self._optional(part)
        if "stream" in self.fields:
            named.streams.add(str(self.fields["stream"]))
        return self._convert(), self.unknown

    def _place(self, named: _Named, line: int) -> None:
        """Take the stream or the thread that stands before the op."""
        on_stream = self.shape.on_stream and not self.store
        if self.prefix is None:
            return
        thread, name, device = self.prefix.groups()
        if device is not None:
            self.fields["device"] = int(device)
        if on_stream:
            self.fields["stream"] = v.read_name(name)
            if thread is not None:
                self.fields["thread"] = v.read_name(thread)
        elif thread is not None:
            raise ValueError(f"{self.word} is an op of a host thread: THREAD: {self.word}")
        else:
            self.fields["thread"] = v.read_name(name)
            named.threads.setdefault(v.read_name(name), line)

    def _optional(self, token: str) -> None:
        left = [f for f in self.shape.may if f not in self.fields]
        if not left or (left == ["bytes"] and not token.isdecimal()):
            raise ValueError(f"{self.word}: what is {_nearest(token, list(self.words))}")
        self._operand(left[0], token)

    def _operand(self, field: str, token: str) -> None:
        match = _OPERAND.fullmatch(token)
        if field == "stream" and match:
            self._set("stream", v.read_name(match[1]))
            self._set("device", int(match[2]))
        else:
            self._set(field, v.read_field(self.cls, field, token))

    def _key(self, match: re.Match[str]) -> None:
        plus, name, value = match.groups()
        key = v.read_name(name)
        if plus:
            if key in self.cls.__struct_encode_fields__ or key == "op" or key in self.unknown:
                raise ValueError(f"{key} is a key of the format, or stands here twice: no +")
            self.unknown[key] = v.read_json(value)
            return
        if key == "rw":
            for each in ("reads", "writes"):
                self._key_value(each, value)
            return
        self._key_value(_KEYS.get(key, key), value)

    def _key_value(self, key: str, value: str) -> None:
        known = self.cls.__struct_encode_fields__
        if key not in known:
            raise ValueError(f"{self.word} has no key {_nearest(key, known)}")
        self._set(key, v.read_field(self.cls, key, value))

    def _set(self, field: str, value: Any) -> None:
        if field in self.fields:
            raise ValueError(f"{self.word} has its {field} twice")
        self.fields[field] = value

    def _convert(self) -> o.OpBase:
        missing = [f for f in self.shape.needs if f not in self.fields]
        if missing:
            raise ValueError(f"{self.word} needs its {missing[0]}")
        needs_stream = self.shape.on_stream and self.word != "stream_write_value"
        if needs_stream and "stream" not in self.fields:
            raise ValueError(f"{self.word} runs on a stream: STREAM: {self.word} ...")
        return msgspec.convert(self.fields, self.cls)


def _nearest(word: str, known: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return repr(word[:80]) + (f"; did you mean {near[0]!r}?" if near else "")


__all__ = ["SHORT", "format_trace", "parse"]
