"""Reads a configuration: which keys there are, and what is wrong with what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsan.checkers.policy import toml, values
from streamsan.checkers.policy.config import SHARED, Config, Layer, PerPath
from streamsan.checkers.policy.errors import PolicyError, unknown
from streamsan.checkers.policy.suppress import Suppression

_TABLE = "tool.streamsan"
_LAYER: dict[str, values.Reader] = {
    "select": values.codes,
    "ignore": values.codes,
    "semantics": values.one_of("default", "strict"),
    "switches": values.switches,
    "hot-regions": values.texts,
    "severity": values.severities,
}
"""What may be different for some paths."""
_KEYS: dict[str, values.Reader] = {
    **_LAYER,
    "fail-on": values.severity,
    "baseline": values.text,
    "unused-suppressions": values.one_of("ignore", "warn", "error"),
    "path-map": values.path_map,
}
_PER_PATH: dict[str, values.Reader] = {"path": values.text, **_LAYER}
_SUPPRESS: dict[str, values.Reader] = {
    "rules": values.codes,
    "function": values.text,
    "file": values.text,
    "stream": values.text,
    "buffer": values.text,
    "reason": values.text,
    "expires": values.day,
}
_LISTS = {"per-path": _PER_PATH, "suppress": _SUPPRESS}
_REQUIRED = {"per-path": ("path",), "suppress": ("rules", "reason")}


def required(file: Path, shown: str) -> Config:
    """Read a file that was asked for.

    Raises:
        PolicyError: it cannot be used, or says nothing to us.
    """
    found = config_in(file, shown)
    if found is None:
        raise PolicyError(shown, None, f"no table [{_TABLE}]")
    return found


def config_in(file: Path, shown: str) -> Config | None:
    """Read a file; None where it is a pyproject.toml without our table.

    Raises:
        PolicyError: it cannot be used.
    """
    given = _table_of(file, shown)
    return None if given is None else _read(file, shown, *given)


def _table_of(file: Path, shown: str) -> tuple[dict[str, Any], Mapping[str, int], str] | None:
    """Give the table, the lines of the file's keys and what they begin with."""
    parsed, text = toml.read(file, shown)
    if file.name != SHARED:
        return parsed, toml.lines_of(text), ""
    tool = parsed.get("tool")
    table = tool.get("streamsan") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise PolicyError(shown, None, f"{_TABLE} must be a table")
    return table, toml.lines_of(text), f"{_TABLE}."


def _read(
    file: Path, shown: str, table: dict[str, Any], lines: Mapping[str, int], prefix: str
) -> Config:
    at = _Places(shown, lines, prefix)
    lists = {key: table[key] for key in _LISTS if key in table}
    found = _values(at, "", {k: v for k, v in table.items() if k not in _LISTS}, _KEYS, _LISTS)
    rows = {key: list(_rows(at, key, value)) for key, value in lists.items()}
    return Config(
        file=shown,
        folder=file.absolute().parent,
        layer=_layer(found),
        fail_on=found.get("fail-on"),
        baseline=found.get("baseline"),
        unused=found.get("unused-suppressions", "warn"),
        path_map=found.get("path-map", ()),
        per_path=tuple(
            PerPath(where, row["path"], _layer(row)) for where, row in rows.get("per-path", ())
        ),
        suppress=tuple(Suppression(where=where, **row) for where, row in rows.get("suppress", ())),
        where={key: at.of(f"{key}.0" if key in _LISTS else key) for key in table},
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the keys of one file stand."""

    shown: str
    lines: Mapping[str, int]
    prefix: str

    def line(self, key: str) -> int | None:
        """Give the line of a key, or of what it stands in."""
        while key:
            if (number := self.lines.get(self.prefix + key)) is not None:
                return number
            key = key.rpartition(".")[0]
        return None

    def of(self, key: str) -> str:
        line = self.line(key)
        return self.shown if line is None else f"{self.shown}:{line}"

    def bad(self, key: str, reason: str) -> PolicyError:
        return PolicyError(self.shown, self.line(key), reason)


def _values(
    at: _Places,
    base: str,
    table: Mapping[str, Any],
    readers: Mapping[str, values.Reader],
    more: Mapping[str, object],
) -> dict[str, Any]:
    """Read each value of a table; ``more`` are keys that are known but read elsewhere."""
    found = {}
    for key, value in table.items():
        if key not in readers:
            raise at.bad(f"{base}{key}", unknown("key", key, [*readers, *more]))
        try:
            found[key] = readers[key](value)
        except ValueError as error:
            raise at.bad(f"{base}{key}", f"{key}: {error}") from None
    return found


def _rows(at: _Places, key: str, rows: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read the tables of a list, each with its place."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise at.bad(key, f"{key} must be a list of tables: [[{at.prefix}{key}]]")
    found = []
    for i, row in enumerate(rows):
        base = f"{key}.{i}"
        for name in _REQUIRED[key]:
            if name not in row:
                raise at.bad(base, f"{key}: {name} is required")
        found.append((at.of(base), _values(at, f"{base}.", row, _LISTS[key], {})))
    return found


def _layer(found: Mapping[str, Any]) -> Layer:
    return Layer(**{key.replace("-", "_"): found[key] for key in _LAYER if key in found})
