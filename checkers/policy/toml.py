"""The text of a TOML file: its values, and the line on which each key stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamsan.checkers.policy.errors import PolicyError

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"\s*([\w\-.\"']+)\s*=")
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
LONGEST = 1 << 20


def read(path: Path, shown: str) -> tuple[dict[str, Any], str]:
    """Give the values and the text of a file.

    Raises:
        PolicyError: it cannot be read, or is no TOML.
    """
    import tomllib

    try:
        if path.stat().st_size > LONGEST:
            raise PolicyError(shown, None, "too long for a configuration")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(shown, None, error.strerror or str(error)) from None
    except ValueError:
        raise PolicyError(shown, None, "not UTF-8") from None
    try:
        return tomllib.loads(text), text
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = str(error)
        at = _AT.search(said)
        line = None if at is None else int(at[1] or len(text.splitlines()))
        raise PolicyError(shown, line, f"no TOML: {_AT.sub('', said)}") from None


def lines_of(text: str) -> Mapping[str, int]:
    """Find the line of each key: ``tool.streamsan.select``, ``...per-path.0.path``.

    A key that is written in an unusual way is not found; its table may be.
    """
    found: dict[str, int] = {}
    lists: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _plain(header[2])
            if header[1] == "[[":
                lists[table] = lists.get(table, -1) + 1
                table = f"{table}.{lists[table]}"
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _plain(name: str) -> str:
    return name.replace(" ", "").replace('"', "").replace("'", "")
