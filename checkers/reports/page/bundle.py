"""The browser side as one script and one style sheet: the modules of ``web/``, joined.

The modules are plain ES modules that import each other by relative names; here each one's imports
and the word ``export`` fall away, and all stand in one function, every module after those that it
imports. No two may declare the same name at their top: ``tests/test_report_page.py`` looks.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class|let) )", re.MULTILINE)
FIRST = "app"


@cache
def text_of(name: str) -> str:
    """Read a file of ``web/``."""
    return (files(__package__) / "web" / name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """Give the whole script."""
    order: dict[str, None] = {}
    _visit(FIRST, order, ())
    body = "\n".join(plain(text_of(f"{name}.js")) for name in order)
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


def _visit(name: str, order: dict[str, None], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"modules import each other in a circle: {' '.join((*above, name))}")
    if name in order:
        return
    for other in _IMPORT.findall(text_of(f"{name}.js")):
        _visit(other, order, (*above, name))
    order[name] = None


def plain(module: str) -> str:
    """Give a module without its imports and exports."""
    return _EXPORT.sub("", _IMPORT.sub("", module))


@cache
def style() -> str:
    """Give the style sheet."""
    return text_of("page.css")
