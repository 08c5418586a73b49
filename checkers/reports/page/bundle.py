"""The browser side as one script and one style sheet: the modules of ``web/``, joined.

The modules are plain ES modules that import each other by relative names. Here each becomes a
function that gives what it exports, and stands after those that it imports: no build step, no
node, and the page follows from the checkout alone.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([a-z_]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const|class) ([A-Za-z_0-9]+))", re.MULTILINE)
FIRST = "main"
PACKAGE = "streamsan.checkers.reports.page"


@cache
def text_of(name: str) -> str:
    """Read a file of ``web/``."""
    return (files(PACKAGE) / "web" / name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """Give the whole script."""
    order: dict[str, None] = {}
    _visit(FIRST, order, ())
    body = "\n".join(as_function(name, text_of(f"{name}.js")) for name in order)
    return f'(() => {{\n"use strict";\n{body}\n}})();\n'


def _visit(name: str, order: dict[str, None], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"modules import each other in a circle: {' '.join((*above, name))}")
    if name in order:
        return
    for _, other in _IMPORT.findall(text_of(f"{name}.js")):
        _visit(other, order, (*above, name))
    order[name] = None


def as_function(name: str, module: str) -> str:
    """Give a module as a function that is called at once and gives what it exports."""
    exported = ", ".join(found for _, found in _EXPORT.findall(module))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = \2_;", module))
    return f"const {name}_ = (() => {{\n{body}return {{ {exported} }};\n}})();"


@cache
def style() -> str:
    """Give the style sheet."""
    return text_of("page.css")
