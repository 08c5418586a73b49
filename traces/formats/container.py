"""Bytes as they are stored: plain, gzip or zstd, told apart by content, read with bounded memory.

A compressed stream that ends early or is corrupt simply ends, after the last byte that could be
decompressed; ``Content.damage`` then says why.
"""

from __future__ import annotations

import gc
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO, Protocol

from streamsan.traces.errors import TraceError

MAX_BYTES = 8 << 30
"""Decompressed bytes of one trace, unless the caller says otherwise."""
MAX_LINE = 64 << 20
"""Bytes of one line: a longer one is no op but an attack, or another kind of file."""
CHUNK = 1 << 20
"""Bytes handed to the decoder at once: the ops of so many stay in the processor's caches."""
HEAD = 64 << 10
"""Bytes that a format is told by."""

_PIECE = 4096
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Decoder(Protocol):
    """What ``zlib`` and ``compression.zstd`` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Content:
    """The decompressed bytes of a trace.

    Args:
        file: where to read them; ``file.peek`` gives the first ones.
        source: the path, ``-`` for standard input, for messages.
    """

    def __init__(self, file: io.BufferedReader, source: str, pieces: _Pieces) -> None:
        """Keep the three; ``open_content`` makes them."""
        self.file = file
        self.source = source
        self._pieces = pieces

    @property
    def damage(self) -> str | None:
        """Why the bytes end earlier than they should; None as long as nothing is known of it."""
        return self._pieces.damage

    def head(self) -> bytes:
        """Give the first bytes without taking them."""
        return self.file.peek(HEAD)[:HEAD]


@contextmanager
def open_content(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, max_bytes: int = MAX_BYTES
) -> Iterator[Content]:
    """Open a file, standard input (``"-"``), bytes or an open file, and decompress it.

    Raises:
        TraceError: it cannot be opened or read, or is larger than ``max_bytes`` decompressed.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else "-"
    raw = _open(source, name)
    try:
        buffered = raw if hasattr(raw, "peek") else io.BufferedReader(_Raw(raw.read), HEAD)
        magic = _reading(name, lambda: buffered.peek(4)[:4])
        pieces = _Pieces(buffered, magic, name, max_bytes)
        yield Content(io.BufferedReader(pieces, HEAD), name, pieces)
    finally:
        if isinstance(source, str | os.PathLike) and name != "-":
            raw.close()


def _open(source: str | os.PathLike[str] | bytes | BinaryIO, name: str) -> Any:
    if isinstance(source, bytes):
        return io.BufferedReader(io.BytesIO(source))
    if not isinstance(source, str | os.PathLike):
        return source
    if name == "-":
        return sys.stdin.buffer
    if "\0" in name:
        raise TraceError(name.replace("\0", "\\0"), None, "no such file: its name holds a NUL")
    return _reading(name, lambda: open(name, "rb"))  # noqa: PTH123


def _reading(name: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except OSError as error:
        raise TraceError(name, None, error.strerror or str(error)) from None


class _Raw(io.RawIOBase):
    """A raw file made of a function that gives up to ``n`` bytes, none at the end."""

    def __init__(self, give: Callable[[int], bytes]) -> None:
        super().__init__()
        self._give = give

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer as far as the content goes: a short answer means the end."""
        view, done = memoryview(buffer), 0
        while done < len(view):
            data = self._give(len(view) - done)
            if not data:
                break
            view[done : done + len(data)] = data
            done += len(data)
        return done


class _Pieces(_Raw):
    """Decompresses, counts, and ends at damage.

    Compressed bytes go into the decoder in small pieces: where one turns out to be corrupt, only
    what this piece would have given is lost.
    """

    def __init__(self, file: Any, magic: bytes, name: str, max_bytes: int) -> None:
        super().__init__(self._next)
        self.damage: str | None = None
        self._file, self._name, self._left = file, name, max_bytes
        self._limit = max_bytes
        self._make = _decoder_of(magic, name)
        self._decoder: _Decoder | None = None
        self._pending = b""

    def readinto(self, buffer: Any, /) -> int:
        """As of any raw file; plain bytes are not copied on their way."""
        direct = getattr(self._file, "readinto", None)
        if self._make is not None or direct is None:
            return super().readinto(buffer)
        count: int = _reading(self._name, lambda: direct(buffer)) or 0
        self._count(count)
        return count

    def _next(self, size: int) -> bytes:
        data = self._read(size) if self._make is None else self._decompress(self._make, size)
        self._count(len(data))
        return data

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TraceError(self._name, None, f"larger than {self._limit} bytes decompressed")

    def _read(self, size: int) -> bytes:
        data: bytes = _reading(self._name, lambda: self._file.read(size))
        return data

    def _decompress(self, make: Callable[[], _Decoder], size: int) -> bytes:
        data = b""
        while not data and self.damage is None:
            if self._decoder is None:
                start = self._pending or self._read(_PIECE)
                if not start:
                    break
                self._pending = start.lstrip(b"\0")  # some writers pad with zeros
                if self._pending:
                    self._decoder = make()
            else:
                data = self._step(self._decoder, size)
        return data

    def _step(self, decoder: _Decoder, size: int) -> bytes:
        at_end = False
        if not self._pending and getattr(decoder, "needs_input", True):
            self._pending = self._read(_PIECE)
            at_end = not self._pending
        copy = getattr(decoder, "copy", None)
        safe = None if copy is None else copy()
        try:
            data = decoder.decompress(self._pending, size)
        except Exception as error:  # noqa: BLE001  (the class of zstd's own may not be there)
            self.damage = f"the compressed stream is corrupt: {error}"
            return _salvage(safe, self._pending, size)
        self._pending = getattr(decoder, "unconsumed_tail", b"")
        if decoder.eof:
            self._pending, self._decoder = decoder.unused_data, None
        elif at_end and not data:
            self.damage = "the compressed stream ends early"
        return data


def _salvage(decoder: Any, pending: bytes, size: int) -> bytes:
    """Give what comes before the corrupt byte, where the decoder could be copied before it."""
    found = b""
    if decoder is None:
        return found
    for place in range(len(pending)):
        try:
            found += decoder.decompress(pending[place : place + 1], size - len(found) or 1)
        except zlib.error:
            break
        if len(found) >= size:
            break
    return found[:size]


def _decoder_of(magic: bytes, name: str) -> Callable[[], _Decoder] | None:
    if magic.startswith(_GZIP):
        return lambda: zlib.decompressobj(wbits=31)
    if magic != _ZSTD:
        return None
    make: Callable[[], _Decoder] = _zstd(name).ZstdDecompressor
    return make


def _zstd(name: str) -> Any:
    """Give the module that knows zstd: part of Python from 3.14 on."""
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(module)
        except ImportError:
            continue
    raise TraceError(name, None, "zstd is not supported here: pip install 'streamsan[zstd]'")


@contextmanager
def create(path: str) -> Iterator[BinaryIO]:
    """Open a file to be written, compressed where its name ends in ``.gz`` or ``.zst``.

    Raises:
        TraceError: zstd is wanted and not supported here.
        OSError: the file cannot be written.
    """
    make = _zstd(path).ZstdFile if path.endswith(".zst") else None
    with open(path, "wb") as plain:  # noqa: PTH123  (a path as the user gave it)
        if path.endswith(".gz"):
            # No name and no time inside: the same trace gives the same file.
            with gzip.GzipFile("", "wb", 6, plain, 0) as packed:
                yield packed  # type: ignore[misc]
        elif make is not None:
            with make(plain, "wb") as packed:
                yield packed
        else:
            yield plain


def whole_lines(
    file: BinaryIO, source: str, line: Callable[[], int], max_line: int = MAX_LINE
) -> Iterator[bytes]:
    """Give the rest of a file in chunks of whole lines; the last may lack its newline.

    Args:
        file: the decompressed content.
        source: the path, for messages.
        line: gives the number of the first line not yet given, for messages.
        max_line: bytes that one line may have.

    Raises:
        TraceError: a line is longer than ``max_line``.
    """
    rest: list[bytes | memoryview] = []
    held = 0
    while data := file.read(CHUNK):
        first = data.find(b"\n")
        if held + (len(data) if first < 0 else first) > max_line:
            raise TraceError(source, line(), f"a line longer than {max_line >> 20} MiB")
        end = data.rfind(b"\n") + 1
        view = memoryview(data)
        if end:
            yield b"".join((*rest, view[:end]))
            rest, held = [], 0
        rest.append(view[end:])
        held += len(data) - end
    if held:
        yield b"".join(rest)


@contextmanager
def paused_gc() -> Iterator[None]:
    """Hold the cyclic garbage collector: it would walk every new op again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
