"""A trace file that grows while its header still changes.

The sites of all ops, and what was not seen, stand in line 1 (trace-format.md), yet become known
only as the program goes on. So line 1 is followed by spaces, and is written again in place, its
changed tail only, before the first op that needs it. At every moment the file is a whole trace of
what it holds: a process that is killed leaves one, cut in its last line at the worst.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.recorder.errors import RecordError

ROOM = 1 << 16
"""Bytes of line 1 at first; doubled by copying the file when they are used up."""
COMPACTED = 64 << 20
"""Files up to this size lose their spaces when the recording ends."""
_COPY = 1 << 20


class GrowingFile:
    """Line 1 with room to grow, then ops.

    Raises:
        RecordError: the file cannot be written.
    """

    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self._room = ROOM
        self._header = b""
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise RecordError(f"{path}: {error.strerror}") from None
        self._end = 0
        self.rewrite(header)

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._end

    def rewrite(self, header: bytes) -> None:
        """Put another header in the place of line 1."""
        if header == self._header:
            return
        if not self._end or len(header) > self._room:
            while len(header) > self._room:
                self._room *= 2
            self._copy(header + b" " * (self._room - len(header)))
        else:
            same = _shared(header, self._header)
            gone = max(len(self._header) - len(header), 0)
            os.pwrite(self._fd, header[same:] + b" " * gone, same)
        self._header = header

    def append(self, lines: bytes) -> None:
        """Add whole lines."""
        rest = memoryview(lines)
        while rest:
            count = os.pwrite(self._fd, rest, self._end)
            self._end += count
            rest = rest[count:]

    def close(self) -> None:
        """End the file, without the spaces where it is of moderate size."""
        if self._end <= COMPACTED:
            self._copy(self._header)
        os.close(self._fd)

    def _copy(self, first: bytes) -> None:
        """Write line 1 anew, and all ops behind it, in a file that takes this one's place."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        fresh = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        os.write(fresh, first + b"\n")
        end = len(first) + 1
        at = self._body
        while piece := os.pread(self._fd, min(_COPY, self._end - at), at):
            os.pwrite(fresh, piece, end)
            at += len(piece)
            end += len(piece)
        beside.replace(self.path)
        os.close(self._fd)
        self._fd, self._end, self._body = fresh, end, len(first) + 1

    _body = 0


def _shared(one: bytes, other: bytes) -> int:
    """Give how many bytes two headers begin with alike: all but the tail, as a rule."""
    least = min(len(one), len(other))
    if one[:least] == other[:least]:
        return least
    low, high = 0, least
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low


def header_bytes(
    header: o.Header, sites: list[tuple[str, ...]], gaps: list[dict[str, object]]
) -> bytes:
    """Give line 1; what only ever grows stands last, so that little of it is written again."""
    found: dict[str, object] = {"format": header.format, "version": header.version}
    for key in ("name", "source", "devices", "rank", "world_size", "versions"):
        value = getattr(header, key)
        if value not in (None, (), {}):
            found[key] = value
    found["complete"] = header.complete
    if gaps:
        found["gaps"] = gaps
    found["sites"] = sites
    return msgspec.json.encode(found)
