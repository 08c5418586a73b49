"""An Nsight Systems SQLite export as an untrusted database: opened read only, tables checked.

Tables are there only where there is data, and their columns differ by version (section 6 of the
page on trace sources). A column that is missing reads as None. Only tables that are asked for by
name are read: others hold command lines, environments, user and host names.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from streamsan.traces.errors import TraceError

MAGIC = b"SQLite format 3\0"
VERSION_TABLE = "META_DATA_EXPORT"
KNOWN_MAJOR = "3"
MAX_TEXT = 1 << 20
"""Bytes of one text: a longer one is no name but an attack."""
LIMIT = 1 << 61

_HEAD = 100
_PAGES = slice(28, 32)
"""Where the header of a database holds the number of its pages."""
_BATCH = 4096
_INTEGERS = {int, type(None)}
_LEAST_ROW = 4
"""Bytes that no row can be smaller than: a damaged tree may repeat its pages without end."""

Row = tuple[int | None, ...]


class Export:
    """The tables of one export.

    ``version`` is the export's schema version; ``damage`` says why a table ended early, None as
    long as none did.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, size: int) -> None:
        """Find the tables.

        Raises:
            TraceError: this is no database, or no export of Nsight Systems.
        """
        self.damage: str | None = None
        self._connection, self._path = connection, path
        self._rows_left = size // _LEAST_ROW + 1
        self._columns = self._find_columns()
        self.version = self._find_version()

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """Give integer columns of a table; nothing where there is no such table.

        Raises:
            TraceError: a value is no integer, or there are more rows than the file can hold.
        """
        known = self._columns.get(table)
        if known is None:
            return
        for batch in self._select(table, self._quoted(known, columns)):
            for values, column in zip(zip(*batch, strict=True), columns, strict=True):
                if not _are_integers(values):
                    raise self._error(
                        f"{table}.{column} holds something that is no 64-bit time or id"
                    )
            yield from batch

    def texts(self, table: str, key: str, value: str) -> dict[int, str]:
        """Give a text for each id of a table; rows of other types are left out."""
        known = self._columns.get(table)
        if known is None or key not in known or value not in known:
            return {}
        return {
            row[0]: row[1][:1000]
            for batch in self._select(table, f'"{key}", "{value}"')
            for row in batch
            if type(row[0]) is int and isinstance(row[1], str)
        }

    def _select(self, table: str, columns: str) -> Iterator[list[Any]]:
        """Give the rows in batches: to look at each by itself takes twice as long."""
        wanted = f'SELECT {columns} FROM "{table}"'  # noqa: S608
        more = True
        cursor: sqlite3.Cursor | None = None
        while more:
            batch: list[Any] = []
            try:
                cursor = cursor or self._connection.execute(wanted)
                batch.extend(islice(cursor, _BATCH))  # what comes before an error stays
                more = bool(batch)
            except (sqlite3.Error, OverflowError, UnicodeDecodeError):
                self.damage = self.damage or f"{table} is malformed: it ends early"
                more = False
            if batch:
                yield self._counted(table, batch)

    def _counted(self, table: str, batch: list[Any]) -> list[Any]:
        self._rows_left -= len(batch)
        if self._rows_left < 0:
            raise self._error(f"{table} has more rows than the file can hold")
        return batch

    @staticmethod
    def _quoted(known: set[str], columns: Sequence[str]) -> str:
        return ", ".join(f'"{name}"' if name in known else "NULL" for name in columns)

    def _find_columns(self) -> dict[str, set[str]]:
        """Give the stored columns of each real table: views and virtual tables are code."""
        try:
            found = self._connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
            tables = [
                name for name, sql in found
                if isinstance(sql, str) and isinstance(name, str) and '"' not in name
                and not sql.upper().startswith("CREATE VIRTUAL")
            ]  # fmt: skip
            return {
                name: {
                    row[1]
                    for row in self._connection.execute(f'PRAGMA table_xinfo("{name}")')
                    if row[6] == 0  # not hidden, not computed by an expression
                }
                for name in tables
            }
        except (sqlite3.Error, OverflowError, UnicodeDecodeError):
            raise self._error("an SQLite database that is damaged or cut at its start") from None

    def _find_version(self) -> str:
        if VERSION_TABLE not in self._columns:
            raise self._error("an SQLite database, but no export of Nsight Systems")
        found = ""
        columns = self._quoted(self._columns[VERSION_TABLE], ("name", "value"))
        for name, value in chain.from_iterable(self._select(VERSION_TABLE, columns)):
            if name == "EXPORT_SCHEMA_VERSION" and isinstance(value, str):
                found = value[:20]
        if found.split(".", 1)[0] != KNOWN_MAJOR:
            raise self._error("an export of Nsight Systems of an unknown schema (3.x is known)")
        return found

    def _error(self, reason: str) -> TraceError:
        return TraceError(self._path, None, reason)


def _are_integers(values: Sequence[Any]) -> bool:
    """Whether each value is an integer of a size that times and ids can have, or none."""
    if not set(map(type, values)) <= _INTEGERS:
        return False
    known = [value for value in values if value is not None]
    return not known or (min(known) > -LIMIT and max(known) < LIMIT)


@contextmanager
def open_export(stream: BinaryIO, path: str) -> Iterator[Export]:
    """Open decompressed content as a database.

    A plain file is opened where it lies; anything else is written to a temporary file first,
    because a database is not read from its start to its end.

    Raises:
        TraceError: it is no export of Nsight Systems.
    """
    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        spare = Path(folder) / "export.sqlite"
        place = _plain(path)
        if place is None:
            with spare.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
            place = spare
        is_cut = _is_cut(place)
        if is_cut:
            place = _mend(place, spare)
        connection = _connect(place, path)
        try:
            export = Export(connection, path, place.stat().st_size)
            if is_cut:
                export.damage = "the file is cut: pages at its end are missing"
            yield export
        finally:
            connection.close()


def _plain(path: str) -> Path | None:
    """Give the file itself where it is an uncompressed database."""
    if path == "-":
        return None
    place = Path(path)
    try:
        with place.open("rb") as file:
            return place.resolve() if file.read(len(MAGIC)) == MAGIC else None
    except (OSError, ValueError):
        return None


def _connect(place: Path, path: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(place))}?mode=ro&immutable=1", uri=True, isolation_level=None
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT)
        connection.text_factory = lambda data: data.decode(errors="replace")
        for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON",
                       "mmap_size = 0", "temp_store = MEMORY"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        raise TraceError(path, None, "an SQLite database that cannot be opened") from None
    return connection


def _page(head: bytes) -> int:
    """Give the bytes of a page, by the file's header."""
    found = int.from_bytes(head[16:18], "big")
    return 65536 if found == 1 else found


def _is_cut(place: Path) -> bool:
    """Say whether a file is shorter than its own header says."""
    with place.open("rb") as file:
        head = file.read(_HEAD)
    return place.stat().st_size < _page(head) * int.from_bytes(head[_PAGES], "big")


def _mend(place: Path, spare: Path) -> Path:
    """Give a copy that claims no more pages than it has: SQLite opens no other."""
    if place != spare:
        shutil.copyfile(place, spare)
    with spare.open("r+b") as file:
        page = _page(file.read(_HEAD)) or 1
        whole = spare.stat().st_size // page
        file.truncate(whole * page)
        file.seek(_PAGES.start)
        file.write(whole.to_bytes(4, "big"))
    return spare
