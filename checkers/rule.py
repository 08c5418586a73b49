"""How a rule is declared, and how rules are found.

A rule is one module of this package that defines ``RULE``: nothing is registered by hand. Its
docstring is its documentation, its ``streamsan explain`` page and its test. Its function asks for
what it needs by the names of its parameters, which are those of ``checkers/facts``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

from streamsan.checkers.finding import Finding, Severity
from streamsan.traces.errors import UsageError

Fact = Literal["accesses", "host", "sync", "memory"]
HEADINGS = ("What it does", "Why it is wrong", "Bad", "Good", "Fix", "Limits")


@dataclass(frozen=True)
class Rule:
    """A named check.

    Args:
        code: its id; ids are never reused.
        name: its name, in words joined by hyphens.
        severity: the default; a finding may carry another.
        needs: the facts it needs; where one is not complete the rule says ``unknown``.
        check: gives the findings; parameters name what it asks for.
    """

    code: str
    name: str
    severity: Severity
    needs: tuple[Fact, ...]
    check: Callable[..., Iterable[Finding]]

    @property
    def head(self) -> tuple[str, str, Severity]:
        """Code, name and default severity: how every finding of the rule begins."""
        return self.code, self.name, self.severity

    @cached_property
    def wants(self) -> tuple[str, ...]:
        """The names of what the check asks for."""
        return tuple(inspect.signature(self.check).parameters)

    @cached_property
    def doc(self) -> str:
        """The docstring of the rule's module."""
        return inspect.getdoc(inspect.getmodule(self.check)) or ""

    @property
    def title(self) -> str:
        """The docstring's first line."""
        return self.doc.partition("\n")[0]

    def section(self, heading: str) -> str:
        """Give the text under one of ``HEADINGS``."""
        found: list[str] = []
        inside = False
        for line in self.doc.splitlines():
            if line.rstrip(":") in HEADINGS and line.endswith(":"):
                inside = line.rstrip(":") == heading
            elif inside:
                found.append(line)
        return inspect.cleandoc("\n".join(found)).strip()


@cache
def rules() -> dict[str, Rule]:
    """Find every rule, by code, in order."""
    package = import_module("streamsan.checkers")
    found: dict[str, Rule] = {}
    for module in iter_modules(package.__path__):
        if not module.ispkg:
            rule = getattr(import_module(f"streamsan.checkers.{module.name}"), "RULE", None)
            if isinstance(rule, Rule):
                found[rule.code] = rule
    return dict(sorted(found.items()))


def chosen(select: Iterable[str], ignore: Iterable[str]) -> list[Rule]:
    """Give the rules selected by code or prefix (``SO``, ``SO1``, ``SO101``, ``ALL``).

    A longer prefix wins over a shorter one, as in other linters.

    Raises:
        UsageError: a prefix matches no rule.
    """
    wanted = {p.upper(): True for p in select} or {"ALL": True}
    wanted |= {p.upper(): False for p in ignore}
    table = rules()
    for prefix in wanted:
        if prefix != "ALL" and not any(code.startswith(prefix) for code in table):
            raise UsageError(f"no rule matches {prefix[:40]!r}; see `streamsan rules`")
    return [rule for code, rule in table.items() if _verdict(code, wanted)]


def _verdict(code: str, wanted: dict[str, bool]) -> bool:
    matching = [p for p in wanted if p == "ALL" or code.startswith(p)]
    best = max(matching, key=lambda p: 0 if p == "ALL" else len(p), default=None)
    return best is not None and wanted[best]
