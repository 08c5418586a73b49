"""``streamsan rules`` and ``streamsan explain``: what is checked, told by the rules themselves."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from rich.text import Text

from streamsan.checkers.reports.console import make_console, render
from streamsan.checkers.reports.machine import as_json
from streamsan.checkers.reports.text import COLOURS
from streamsan.checkers.rule import HEADINGS, Rule, rules
from streamsan.traces.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def find_rules(word: str) -> list[Rule]:
    """Give the rule with a code or a name, or the rules whose codes begin with a prefix.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    table = rules()
    wanted = word.strip()
    if wanted.upper() == "ALL":
        return list(table.values())
    for rule in table.values():
        if wanted.upper() == rule.code or wanted.lower().replace("_", "-") == rule.name:
            return [rule]
    family = [r for code, r in table.items() if wanted and code.startswith(wanted.upper())]
    if family:
        return family
    known = [*table, *(rule.name for rule in table.values())]
    near = get_close_matches(wanted.upper(), known, 3) or get_close_matches(wanted, known, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `streamsan rules`"
    raise UsageError(f"no rule {wanted[:40]!r}: {hint}")


def rules_text(listed: Sequence[Rule]) -> str:
    """Give a table: code, name, severity, title."""
    console = make_console()
    wide = max((len(rule.name) for rule in listed), default=0)

    def parts() -> Iterator[Text]:
        for rule in listed:
            head = Text.assemble(
                (rule.code, "bold"), f"  {rule.name:{wide}}  ",
                (f"{rule.severity:7}", COLOURS[rule.severity]), "  ",
            )  # fmt: skip
            margin = len(head)
            titles = Text(rule.title).wrap(console, max(console.width - margin, 20))
            for i, line in enumerate(titles):
                yield (Text(" " * margin) if i else head).append_text(line)

    return render(console, parts())


def explain_text(rule: Rule) -> str:
    """Give a rule's documentation: that of its module."""
    console = make_console()

    def parts() -> Iterator[Text]:
        yield Text.assemble((rule.code, "bold"), (f" {rule.name}", "bold"))
        needs = f"; needs to know: {', '.join(rule.needs)}" if rule.needs else ""
        yield Text.assemble((rule.severity, COLOURS[rule.severity]), needs)
        yield Text()
        for line in rule.doc.splitlines():
            heading = line.endswith(":") and line[:-1] in HEADINGS
            yield Text(line, "bold" if heading else "")

    return render(console, parts())


def rules_json(listed: Sequence[Rule], *, full: bool = False) -> str:
    """Give rules as a JSON list; ``full`` adds the documentation."""
    return as_json([_shape(rule, full=full) for rule in listed])


def _shape(rule: Rule, *, full: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "rule": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "needs": list(rule.needs),
        "title": rule.title,
    }
    if full:
        shape["sections"] = {heading: rule.section(heading) for heading in HEADINGS}
    return shape
