"""How the value of each key of the configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from streamsan.checkers.finding import RANK
from streamsan.checkers.policy.errors import unknown
from streamsan.checkers.rule import rules
from streamsan.traces.ops import Semantics

Reader = Callable[[Any], Any]
"""Gives what a value means; raises ValueError with what is wrong with it."""
SWITCHES = {f.replace("_", "-"): f for f in Semantics.__struct_fields__}


def text(value: Any) -> str:
    """Read a string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a string that is not empty")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Read a list of strings; one string is a list of one."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise ValueError("must be a list of strings")  # noqa: TRY004 - one kind for all readers
    return tuple(text(each) for each in values)


def codes(value: Any) -> tuple[str, ...]:
    """Read rules: codes or prefixes."""
    return tuple(code(each) for each in texts(value))


def code(value: str) -> str:
    """Read one code or prefix."""
    wanted, table = value.strip().upper(), rules()
    if wanted != "ALL" and not any(each.startswith(wanted) for each in table):
        from difflib import get_close_matches

        near = get_close_matches(wanted, table, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "see `streamsan rules`"
        raise ValueError(f"no rule matches {value[:40]!r}; {hint}")
    return wanted


def one_of(*words: str) -> Reader:
    """Make a reader of one of several words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


severity = one_of(*sorted(RANK, key=RANK.__getitem__, reverse=True))


def severities(value: Any) -> tuple[tuple[str, str], ...]:
    """Read a table from rules to severities."""
    return tuple((code(key), severity(each)) for key, each in _table(value).items())


def switches(value: Any) -> tuple[tuple[str, bool], ...]:
    """Read a table of the semantics switches."""
    found = []
    for key, each in _table(value).items():
        if key not in SWITCHES:
            raise ValueError(unknown("switch", key, SWITCHES))
        if not isinstance(each, bool):
            raise ValueError(f"{key} must be true or false")  # noqa: TRY004
        found.append((SWITCHES[key], each))
    return tuple(found)


def path_map(value: Any) -> tuple[tuple[str, str], ...]:
    """Read a table from the beginnings of recorded paths to folders of the repository."""
    found = []
    for key, each in _table(value).items():
        if not isinstance(each, str):
            raise ValueError(f"{key!r} must be a string")  # noqa: TRY004
        found.append((text(key), each))
    return tuple(sorted(found, key=lambda pair: -len(pair[0])))


def day(value: Any) -> date:
    """Read a date, written bare or as a string."""
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be a date such as 2027-01-31") from None


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be a table")  # noqa: TRY004
    return value
