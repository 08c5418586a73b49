"""The events of a PyTorch profiler file: a chunked decoder that survives damage.

Read a chunk, cut it at the last ``},{`` and decode all before it as one array. A cut inside a
string or a nested object cannot decode, so the decoder itself proves each cut. A chunk that does
not decode is taken apart: blocks of events first, then single events, and what is left is
repaired (``kineto_repair``) or counted as lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct, field

from streamsan.traces.errors import TraceError

CHUNK = 1 << 19
MAX_EVENT = 64 << 20
"""No event, and nothing that stands before or after them, is longer than this many bytes."""

_BLOCK = 256
_JOINS = 4
_GUESSES = 4
_LOOKS = 10_000
_BOUNDARY = re.compile(rb'\}\s*,\s*(?=\{\s*")')
_ARRAY_END = re.compile(rb"\}\s*(,\s*)?\]")  # written so that blanks cost linear time
_BLANK = b" \t\r\n"


class Args(Struct, gc=False, frozen=True):
    """The arguments that matter here (section 3); any may stand as a number or as text."""

    correlation: int | None = None
    stream: int | str | None = None
    device: int | None = None
    context: int | None = None
    bytes: int | None = None
    sync: str | None = field(default=None, name="cuda_sync_kind")
    waits_on: int | None = field(default=None, name="wait_on_stream")
    event: int | None = field(default=None, name="wait_on_cuda_event_id")
    record: int | None = field(default=None, name="wait_on_cuda_event_record_corr_id")
    recorded: int | None = field(default=None, name="event_id")
    function: int | None = field(default=None, name="Record function id")
    size: int | None = None
    kind: int | str | None = None
    src: int | str | None = None
    dst: int | str | None = None


NO_ARGS = Args()


class Event(Struct, gc=False):
    """One event. ``t`` and ``end`` are not in the file: the reader fills them in, in ns.

    ``ts`` and ``dur`` are kept as text, because a double cannot hold ns since the epoch.
    """

    name: str = ""
    ph: str = ""
    cat: str = ""
    pid: int | str | None = None
    tid: int | str | None = None
    ts: Raw = Raw()
    dur: Raw = Raw()
    args: Args = NO_ARGS
    t: int | None = field(default=None, name="streamsan:t")
    end: int | None = field(default=None, name="streamsan:end")


_QUICK = msgspec.json.Decoder(list[Event])
_MANY = msgspec.json.Decoder(list[Event], strict=False)
_ONE = msgspec.json.Decoder(Event, strict=False)
REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises: malformed, not UTF-8, nested too deeply."""


def decode_many(text: bytes) -> list[Event]:
    """Decode an array of events; numbers written as text cost a second try."""
    try:
        return _QUICK.decode(text)
    except msgspec.ValidationError:
        return _MANY.decode(text)


class EventReader:
    """Gives the events of a file in batches; afterwards tells what was damaged.

    Args:
        stream: the decompressed content.
        data: what was read of it already, from right after the ``[`` of the array.
        offset: where in the content ``data`` begins.
        path: for messages.
    """

    def __init__(self, stream: BinaryIO, data: bytes, offset: int, path: str) -> None:
        """Read nothing yet."""
        self.kept = self.repaired = self.lost = 0
        self.closed = False
        self.odd: str | None = None
        self.broken_at: int | None = None
        self.tail = b""
        self._stream, self._path = stream, path
        self._data, self._offset = data, offset

    def batches(self) -> Iterator[list[Event]]:
        """Decode chunk by chunk.

        Raises:
            TraceError: no event ends within ``MAX_EVENT`` bytes.
        """
        while not self.closed and (more := self._stream.read(max(CHUNK, len(self._data)))):
            self._data = data = self._data + more if self._data else more
            cut = _last_boundary(data)
            if cut is not None:
                self._data = data[cut.end() :]
                yield self._take(data, cut)
                self._offset += cut.end()
            elif len(data) > MAX_EVENT:
                raise TraceError(self._path, None, f"no event ends within {MAX_EVENT >> 20} MiB")
        if not self.closed:
            data, self._data = self._data, b""
            yield self._last(data)
        if self.closed:
            self.tail += self._data + self._stream.read(MAX_EVENT)

    def _take(self, data: bytes, cut: re.Match[bytes]) -> list[Event]:
        """Decode the events up to the last boundary."""
        whole = memoryview(data)[: cut.start() + 1]
        try:
            events = decode_many(b"".join((b"[", whole, b"]")))
        except REFUSALS:
            return self._salvage(data[: cut.end()])
        self.kept += len(events)
        return events

    def _last(self, data: bytes) -> list[Event]:
        """Decode what is left; the array's end is the last ``]`` after a ``}`` that proves it."""
        end, guesses, looks = len(data), 0, 0
        if data.lstrip(_BLANK)[:1] == b"]":
            self._close(data[data.index(b"]") + 1 :])
            return []
        while guesses < _GUESSES and looks < _LOOKS and (end := data.rfind(b"]", 0, end)) >= 0:
            looks += 1
            if data[max(0, end - 64) : end].rstrip(_BLANK)[-1:] != b"}":
                continue
            guesses += 1
            try:
                events = decode_many(b"[" + data[: end + 1])
            except REFUSALS:
                continue
            self._close(data[end + 1 :])
            self.kept += len(events)
            return events
        return self._salvage(data)

    def _salvage(self, data: bytes) -> list[Event]:
        """Decode block by block, and where a block fails, event by event."""
        starts = [0, *(m.end() for m in _BOUNDARY.finditer(data)), len(data)]
        found: list[Event] = []
        for i in range(0, len(starts) - 1, _BLOCK):
            if self.closed:
                break
            span = starts[i : i + _BLOCK + 1]
            block = data[span[0] : span[-1]]
            try:
                events = decode_many(b"[" + block.rstrip(_BLANK + b",") + b"]")
                self.kept += len(events)
            except REFUSALS:
                events = self._pieces(data, span)
            found += events
        return found

    def _pieces(self, data: bytes, starts: list[int]) -> list[Event]:
        found: list[Event] = []
        i = 0
        while i < len(starts) - 1 and not self.closed:
            step = 1
            event = self._one(data[starts[i] : starts[i + 1]])
            if event is None:
                event = self._end(data, starts[i], starts[i + 1])
            while event is None and step < _JOINS and i + step < len(starts) - 1:
                # A boundary may be one of objects nested in an event: then it is longer.
                step += 1
                event = self._one(data[starts[i] : starts[i + step]])
            if event is None:
                step = 1
                event = self._repair(data[starts[i] : starts[i + 1]], self._offset + starts[i])
            if event is not None:
                self.kept += 1
                found.append(event)
            i += step
        return found

    @staticmethod
    def _one(piece: bytes) -> Event | None:
        from streamsan.traces.formats.kineto_repair import lenient

        piece = piece.rstrip(_BLANK + b",")
        try:
            return _ONE.decode(piece)
        except msgspec.ValidationError:
            return lenient(piece)  # JSON, but a value of a type that Kineto does not write
        except REFUSALS:
            return None

    def _end(self, data: bytes, start: int, stop: int) -> Event | None:
        """Look for the end of the array in a piece: its last event stands before it."""
        for match in _ARRAY_END.finditer(data, start, stop):
            event = self._one(data[start : match.start() + 1])
            if event is not None:
                if match[1]:
                    self.odd = "a comma stands before the end of the events"
                self._close(data[match.end() :])
                return event
        return None

    def _repair(self, piece: bytes, offset: int) -> Event | None:
        from streamsan.traces.formats.kineto_repair import repair

        if piece.strip(_BLANK + b",") == b"":
            return None
        if self.broken_at is None:
            self.broken_at = offset
        event = repair(piece.rstrip(_BLANK + b","))
        if event is None:
            self.lost += 1
        else:
            self.repaired += 1
        return event

    def _close(self, tail: bytes) -> None:
        self.closed = True
        self.tail = tail


def _last_boundary(data: bytes) -> re.Match[bytes] | None:
    """Find the last place in ``data`` where one event ends and the next begins."""
    window = 1 << 16
    while True:
        low = max(0, len(data) - window)
        last = None
        for last in _BOUNDARY.finditer(data, low):  # noqa: B007  (the last one is wanted)
            pass
        if last is not None:
            return last
        if low == 0:
            return None
        window <<= 4
