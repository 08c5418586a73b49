"""The columnar form: one zip of numpy columns and a JSON table, for large traces.

The members are stored, never compressed: a small file cannot claim large columns. Nothing in it
is evaluated, and every size is checked before memory is asked for. Compress the whole file
instead (``.npz.zst``).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamsan.traces import ops as o
from streamsan.traces.check import OpError, check_ranges, check_sites
from streamsan.traces.errors import TraceError
from streamsan.traces.formats import Format
from streamsan.traces.formats.columnar_check import check_columns, checked_extras, checked_tags
from streamsan.traces.formats.header import check_gaps, header_dict, parse_header
from streamsan.traces.model import NONE, Ranges, Trace
from streamsan.traces.words import in_words

_TABLE = "streamsan-columns.json"
_HEADER = re.compile(rb"\{'descr': '([^']+)', 'fortran_order': False, 'shape': \((\d+),\), \} *\n")
_MAGIC = b"\x93NUMPY\x01\x00"
_MEMORY = 64 << 20
MAX_OPS = 2**31 - 1

OP_COLUMNS: dict[str, tuple[str, int]] = {
    "kind": ("|u1", 0),
    "bits": ("<u2", 0),
    **dict.fromkeys(("thread", "device"), ("<i4", 0)),
    **dict.fromkeys(("stream_name", "obj", "name", "via", "site", "tag"), ("<i4", -1)),
    **dict.fromkeys(("number", "t", "t_end", "begin", "end"), ("<i8", NONE)),
}
"""Type and default of each column of ops; one that holds only defaults is left out."""
ACCESS_COLUMNS = {"access_range": "<i4", "access_mode": "|u1"}
RANGE_COLUMNS = {"name": "<i4", "offset": "<i8", "length": "<i8", "strided": "<i4"}


class _Table(msgspec.Struct):
    """What is no column. ``extras`` is by op id; an op's id is a string in JSON."""

    header: msgspec.Raw
    names: tuple[str, ...]
    tags: tuple[msgspec.Raw, ...]
    views: tuple[o.StridedRange, ...]
    extras: dict[str, dict[str, Any]]


def sniff(head: bytes) -> bool:
    """Tell the zip by the name of its first member."""
    return head.startswith(b"PK\x03\x04") and head[30:].startswith(_TABLE.encode())


def read(file: BinaryIO, path: str) -> Trace:
    """Read a columnar trace; ``path`` is for messages.

    Raises:
        TraceError: it is damaged, or its content contradicts itself or the format.
    """
    with tempfile.SpooledTemporaryFile(_MEMORY) as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
        try:
            with zipfile.ZipFile(copy) as archive:
                return _trace(_Members(archive, copy.tell()), path)
        except OpError as error:
            raise TraceError(path, None, str(error)) from None
        except msgspec.ValidationError as error:
            raise TraceError(path, None, f"columnar trace: {in_words(error)}") from None
        except (
            zipfile.BadZipFile, ValueError, KeyError, EOFError, RecursionError,
            NotImplementedError, RuntimeError, OSError,
        ) as error:  # fmt: skip
            raise TraceError(path, None, f"columnar trace: {error}") from None


class _Members:
    """The members of the zip, none larger than the file that holds them."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        self.infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.filename in self.infos:
                raise ValueError(f"{info.filename[:80]!r} is there twice")
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise ValueError(f"{info.filename[:80]!r} is compressed or encrypted")
            if info.file_size != info.compress_size or info.file_size > size:
                raise ValueError(f"{info.filename[:80]!r} claims more bytes than the file has")
            self.infos[info.filename] = info
        if sum(info.file_size for info in self.infos.values()) > size:
            raise ValueError("its members claim more bytes than the file has")

    def table(self) -> _Table:
        return msgspec.json.decode(self.archive.read(self.infos[_TABLE]), type=_Table)

    def column(self, name: str, dtype: str, count: int | None = None) -> NDArray[Any]:
        """Read a column; ``count`` is how many entries it must have, None for any number."""
        info = self.infos[f"{name}.npy"]
        with self.archive.open(info) as member:
            start = member.read(len(_MAGIC) + 2)
            length = int.from_bytes(start[-2:], "little")
            header = _HEADER.fullmatch(member.read(length))
            if not start.startswith(_MAGIC) or header is None or header[1] != dtype.encode():
                raise ValueError(f"{name}: not a one-dimensional column of {dtype}")
            rest = info.file_size - len(start) - length
            claimed = int(header[2][:20])
            if claimed * np.dtype(dtype).itemsize != rest or count not in (None, claimed):
                raise ValueError(f"{name}: {claimed} entries claimed, which cannot be")
            return np.frombuffer(member.read(), dtype, claimed).copy()


def _trace(members: _Members, path: str) -> Trace:
    table = members.table()
    parsed = parse_header(bytes(table.header))
    kind = members.column("kind", "|u1")
    if len(kind) > MAX_OPS:
        raise ValueError(f"more than {MAX_OPS} ops")
    columns = {"kind": kind}
    for key, (dtype, default) in OP_COLUMNS.items():
        if f"{key}.npy" in members.infos:
            columns[key] = members.column(key, dtype, len(kind))
        else:
            columns[key] = np.full(len(kind), default, dtype)
    start = members.column("access_start", "<i8", len(kind) + 1)
    access = {key: members.column(key, dtype) for key, dtype in ACCESS_COLUMNS.items()}
    parts = {key: members.column(f"range_{key}", dtype) for key, dtype in RANGE_COLUMNS.items()}
    ranges = Ranges(**parts, views=table.views)
    trace = Trace(
        header=parsed.header, names=table.names, **columns, tags=checked_tags(table.tags),
        extras=checked_extras(table.extras, kind), access_start=start, **access, ranges=ranges,
        path=path, header_extras=parsed.extras, damage=parsed.damage, gaps=parsed.gaps,
    )  # fmt: skip
    check_columns(trace)
    check_ranges(trace)
    check_sites(trace)
    check_gaps(parsed.gaps, len(trace))
    return trace


def write(trace: Trace, file: BinaryIO) -> None:
    """Write a trace; the same trace gives the same bytes."""
    table = _Table(
        msgspec.Raw(msgspec.json.encode(header_dict(trace))),
        trace.names,
        tuple(msgspec.Raw(tag) for tag in trace.tags),
        trace.ranges.views,
        {str(op): dict(keys) for op, keys in trace.extras.items()},
    )
    with tempfile.SpooledTemporaryFile(_MEMORY) as copy:
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as archive:
            _put(archive, _TABLE, msgspec.json.encode(table))
            for key, (dtype, default) in OP_COLUMNS.items():
                column = getattr(trace, key)
                if key == "kind" or (column != default).any():
                    _put_column(archive, key, column, dtype)
            _put_column(archive, "access_start", trace.access_start, "<i8")
            for key, dtype in ACCESS_COLUMNS.items():
                _put_column(archive, key, getattr(trace, key), dtype)
            for key, dtype in RANGE_COLUMNS.items():
                _put_column(archive, f"range_{key}", getattr(trace.ranges, key), dtype)
        copy.seek(0, os.SEEK_SET)
        shutil.copyfileobj(copy, file, 1 << 20)


def _put_column(archive: zipfile.ZipFile, name: str, column: NDArray[Any], dtype: str) -> None:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({len(column)},), }}"
    length = -(len(_MAGIC) + 2 + len(text) + 1) % 64 + len(text) + 1
    header = text.encode().ljust(length - 1) + b"\n"
    data = np.ascontiguousarray(column, dtype)
    _put(archive, f"{name}.npy", _MAGIC + length.to_bytes(2, "little") + header, data.tobytes())


def _put(archive: zipfile.ZipFile, name: str, *data: bytes) -> None:
    info = zipfile.ZipInfo(name)  # without a time
    with archive.open(info, "w", force_zip64=True) as member:
        for piece in data:
            if len(piece):
                member.write(piece)


FORMAT = Format("columnar", (".npz",), sniff, read, write)
