"""A rule as SARIF describes it: from its own documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsan.checkers.rule import HEADINGS

if TYPE_CHECKING:
    from streamsan.checkers.rule import Rule

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_PROBLEM = {"error": "error", "warning": "warning", "info": "recommendation"}
_TAGS = {
    "SO1": "data-race", "SO2": "lifetime", "SO3": "events", "SO4": "synchronisation",
    "SO5": "transfers", "SO6": "deadlock", "SO7": "values", "SO9": "trace",
}  # fmt: skip
LONGEST = 1024
"""Characters of a description that GitHub takes."""
_PROGRAMS = ("Bad", "Good")


def describe(rule: Rule) -> dict[str, Any]:
    """Give a reportingDescriptor with all that GitHub asks for."""
    what = " ".join(rule.section("What it does").split()) or rule.title
    family = _TAGS.get(rule.code[:3])
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": _cut(rule.title)},
        "fullDescription": {"text": _cut(what)},
        "help": {"text": _plain(rule), "markdown": _markdown(rule)},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "tags": ["cuda", "concurrency", *([family] if family else [])],
            "precision": "high",
            "problem.severity": _PROBLEM[rule.severity],
        },
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _sections(rule: Rule) -> list[tuple[str, str]]:
    return [(heading, text) for heading in HEADINGS if (text := rule.section(heading))]


def _plain(rule: Rule) -> str:
    return "\n\n".join([rule.title, *(f"{head}:\n{text}" for head, text in _sections(rule))])


def _markdown(rule: Rule) -> str:
    parts = [rule.title]
    for heading, text in _sections(rule):
        body = f"```text\n{text}\n```" if heading in _PROGRAMS else text
        parts.append(f"**{heading}**\n\n{body}")
    return "\n\n".join(parts)
