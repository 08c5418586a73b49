"""Trace formats, one file each, found without registration.

A format is a module of this package that defines ``FORMAT``. ``load`` tells formats apart by
content, never by name. To add one, write its file; see CONTRIBUTING.md.
"""

from __future__ import annotations

import dataclasses
import os
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, NamedTuple

from streamsan.traces.errors import TraceError, UsageError
from streamsan.traces.formats.container import MAX_BYTES, Content, create, open_content
from streamsan.traces.model import Damage, Trace


class Format(NamedTuple):
    """One trace format.

    Args:
        name: the word that ``--to`` takes.
        suffixes: file names that ``save`` writes in this format.
        sniff: whether the first 64 KiB of the decompressed content are this format's.
        read: makes a Trace of the decompressed content and a path for messages; raises
            TraceError. Damage of the container is no error: it goes into ``Trace.damage``.
        write: writes a Trace; None where the format can only be read.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Callable[[BinaryIO, str], Trace]
    write: Callable[[Trace, BinaryIO], None] | None = None


_FIRST = ("jsonl", "columnar")
"""Asked first: the others' modules are not even imported for a trace of our own."""


def formats() -> Iterator[Format]:
    """Give every format, our own first, each imported only when its turn comes."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    ours = [name for name in _FIRST if name in found]
    for name in (*ours, *sorted(found - set(_FIRST))):
        module = import_module(f"{__name__}.{name}")
        if isinstance(candidate := getattr(module, "FORMAT", None), Format):
            yield candidate


def load(source: str | os.PathLike[str] | bytes | BinaryIO, *, max_bytes: int = MAX_BYTES) -> Trace:
    """Read a trace of any known format, plain or compressed.

    Args:
        source: a path, ``"-"`` for standard input, the bytes themselves, or an open binary file.
        max_bytes: refuse a trace of more decompressed bytes.

    Raises:
        TraceError: it cannot be read, is of no known format, or contradicts its format. What is
            merely damaged is read as far as it goes: ``Trace.damage`` says so.
    """
    with open_content(source, max_bytes=max_bytes) as content:
        head = content.head()
        for candidate in formats():
            if candidate.sniff(head):
                trace = candidate.read(content.file, content.source)
                return _with_damage(trace, content)
        if head.lstrip(b"\xef\xbb\xbf").startswith(b"{"):  # so that the reader says what is wrong
            from streamsan.traces.formats import jsonl

            return _with_damage(jsonl.read(content.file, content.source), content)
        raise _unknown(head, content)


def _with_damage(trace: Trace, content: Content) -> Trace:
    if content.damage is None:
        return trace
    known = trace.damage or Damage("", len(trace), None, None)
    reason = f"{content.damage}; {known.reason}" if known.reason else content.damage
    return dataclasses.replace(trace, damage=known._replace(reason=reason))


def _unknown(head: bytes, content: Content) -> TraceError:
    """Say in words what this is instead of a trace."""
    if not head and content.damage is not None:
        reason = f"nothing can be read: {content.damage}"
    elif not head.strip():
        reason = "the file is empty"
    elif head.startswith(b"version https://git-lfs"):
        reason = "a git-lfs pointer, not the trace itself: fetch it with git lfs pull"
    elif head.startswith(b"PK"):
        reason = "a zip archive that is no trace"
    elif b"\0" in head or not _is_text(head):
        reason = "binary content of no known trace format"
    else:
        reason = "no known trace format: the first line is not a JSON object"
    return TraceError(content.source, None, reason)


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode()  # the last character may be cut
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.end >= len(head) - 4
    return True


def save(trace: Trace, path: str | os.PathLike[str], format: str | None = None) -> None:  # noqa: A002
    """Write a trace; ``.gz`` and ``.zst`` at the end of the name compress it.

    Args:
        trace: what to write.
        path: where to; what stands there is replaced. Its suffix tells the format.
        format: name of a format, instead of the suffix.

    Raises:
        UsageError: no format has this suffix or name, or the one that has it cannot be written.
        TraceError: the file cannot be written.
    """
    name = os.fspath(path)
    _write(trace, name, writer_of(name, format))


def writer_of(name: str, format: str | None = None) -> Callable[[Trace, BinaryIO], None]:  # noqa: A002
    """Find what writes a file of a name.

    Raises:
        UsageError: no format has this suffix or name, or the one that has it cannot be written.
    """
    stem = name.removesuffix(".gz").removesuffix(".zst")
    for candidate in formats():
        wanted = candidate.name == format if format else stem.endswith(candidate.suffixes)
        if wanted and candidate.write is not None:
            return candidate.write
    raise UsageError(f"no trace format can be written as {format or Path(name).name!r}")


def _write(trace: Trace, name: str, write: Callable[[Trace, BinaryIO], None]) -> None:
    try:
        with create(name) as file:
            write(trace, file)
    except OSError as error:
        raise TraceError(name, None, error.strerror or str(error)) from None
