"""Trace formats, one file each, found without registration.

A format is a module of this package that defines ``FORMAT``. ``load`` tells formats apart by
content, never by name. To add one, write its file; see CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from streamsan.traces.model import Trace


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
