"""A table in Markdown, the worst first: for the summary of a step, or a comment on a change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.console import visible
from streamsan.checkers.reports.places import place_of
from streamsan.checkers.reports.plain import finding_lines, title
from streamsan.checkers.reports.summary import summary_lines, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamsan.checkers.reports.outcome import Outcome
    from streamsan.checkers.reports.run import Options
    from streamsan.checkers.reports.summary import Located

ROWS, DETAILS = 200, 10
"""Findings in the table, and findings told in full. GitHub takes 1 MiB for a step."""
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$:@.-])")
SIGNS = {"error": "🔴 error", "warning": "🟡 warning", "info": "🔵 info"}


def render(outcomes: Sequence[Outcome], options: Options) -> str:
    """Give the table, and the worst findings in full."""
    return "\n".join(_lines(outcomes, options.policy or Policy())) + "\n"


def _lines(outcomes: Sequence[Outcome], policy: Policy) -> Iterator[str]:
    yield "## streamsan"
    yield ""
    for line in summary_lines(outcomes):
        yield safe(line)
        yield ""
    for failed in (each for each in outcomes if each.failed):
        yield f"- **not linted**: {safe(f'{failed.where}: {failed.reason}')}"
    found = worst_first(outcomes)
    if not found:
        return
    yield ""
    yield "| severity | rule | where | what | times | trace |"
    yield "|---|---|---|---|---:|---|"
    for at in found[:ROWS]:
        yield _row(at, policy)
    if len(found) > ROWS:
        yield f"\n... and {len(found) - ROWS} more."
    for at in found[:DETAILS]:
        yield from _details(at)


def _row(at: Located, policy: Policy) -> str:
    finding, place = at.finding, place_of(at, policy)
    cells = (
        SIGNS[finding.severity], safe(f"{finding.rule} {finding.name}"),
        safe(f"{place.file}:{place.line} {place.function}".strip()),
        safe(finding.message[:300]), str(finding.count), safe(at.path),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _details(at: Located) -> Iterator[str]:
    yield ""
    yield f"<details><summary>{_entities(title(at.finding))}</summary>"
    yield ""
    yield "<pre>"
    yield from (_entities(line[:400]) or "&nbsp;" for line in finding_lines(at.finding))
    yield "</pre>"
    yield "</details>"


def safe(text: str) -> str:
    """Let nothing in a text be read as Markdown, HTML or the end of a cell."""
    return _MARKS.sub(r"\\\1", _entities(visible(text)))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
