"""What msgspec says of a value that the format does not allow, in the format's own words."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_ENUM = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)


def in_words(error: Exception) -> str:
    """Say where in the line the mistake is and what is wrong, on one line."""
    parts = _PARTS.fullmatch(str(error))
    what, where = (parts["what"], parts["where"]) if parts else (str(error), None)
    if missing := _MISSING.fullmatch(what):
        what = f"the required key {missing[1]!r} is missing"
    elif enum := _ENUM.fullmatch(what):
        what = f"unknown value {enum[1]}"
    else:
        what = what.replace("`", "")
        what = what[:1].lower() + what[1:]
    return printable(f"{where}: {what}" if where else what)


def printable(text: str) -> str:
    """Replace what a terminal would not print as it stands."""
    return "".join(c if c.isprintable() else "?" for c in text[:400])
