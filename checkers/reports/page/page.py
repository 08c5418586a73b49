"""Puts the page together: template, style, script, packed data, and a table for no script at all.

Names from a trace are untrusted. All of them travel in the pack, which is base64, and the script
makes text nodes of them; what stands in the HTML itself is escaped. The policy allows this script
and this style by their hashes, nothing from anywhere else, and no way to make HTML of a string.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import streamsan
from streamsan.checkers.finding import Finding, Unknown
from streamsan.checkers.reports.costs import KEYS, cost_lines
from streamsan.checkers.reports.page.bundle import script, style, text_of
from streamsan.checkers.reports.page.columns import columns_of, vocabulary
from streamsan.checkers.reports.page.costs import costs_of
from streamsan.checkers.reports.page.pack import pack
from streamsan.checkers.reports.page.slice import slice_of
from streamsan.checkers.reports.page.words import headline
from streamsan.checkers.rule import HEADINGS, rules
from streamsan.traces.order import HappensBefore

SLICES = 200
"""Findings that get a slice: the worst come first."""
KEPT = 2000
"""Findings that go into the file; how many there are in all is told."""
LISTED = 1000
"""Findings in the table for readers without script."""


@dataclass(frozen=True)
class Contents:
    """What a page shows.

    Args:
        order: the trace and its order.
        findings: worst first.
        unknown: rules that cannot say.
        path: the trace, as the user wrote it.
        runs: by a finding's place, what the hall knows of its witness: both runs step by step.
    """

    order: HappensBefore
    findings: Sequence[Finding]
    unknown: Sequence[Unknown] = ()
    path: str = "-"
    runs: Mapping[int, Any] = field(default_factory=dict)


def build_page(contents: Contents) -> str:
    """Give the whole file."""
    data = pack(_meta(contents), columns_of(contents.order))
    parts = {
        "POLICY": policy(),
        "TITLE": html.escape(f"{_title(contents)} - streamsan"),
        "STYLE": style(),
        "TABLE": _table(contents),
        "DATA": data,
        "SCRIPT": script(),
    }
    return _fill(text_of("page.html"), parts)


def policy() -> str:
    """Give the content security policy."""
    return "; ".join((
        "default-src 'none'",
        f"script-src 'sha256-{_digest(script())}'",
        f"style-src 'sha256-{_digest(style())}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ))  # fmt: skip


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """Put each part in its place; what a part holds is not looked at again."""
    pieces = template.split("@@")
    return "".join(parts[p] if i % 2 else p for i, p in enumerate(pieces))


def _title(contents: Contents) -> str:
    header = contents.order.trace.header
    return header.name or PurePath(contents.path).name


def _meta(contents: Contents) -> dict[str, Any]:
    trace = contents.order.trace
    return {
        "version": 1,
        "tool": streamsan.__version__,
        "title": _title(contents),
        "path": contents.path,
        "source": trace.header.source,
        "damage": None if trace.damage is None else trace.damage.reason,
        "gaps": [[gap.reason, gap.times] for gap in trace.gaps],
        **vocabulary(contents.order),
        "totals": Counter(finding.severity for finding in contents.findings),
        "findings": [_finding(contents, i, f) for i, f in enumerate(contents.findings[:KEPT])],
        "unknown": [{"rule": each.rule, "reason": each.reason} for each in contents.unknown],
        "rules": _rules(contents.findings),
        "costKeys": sorted(KEYS),
        "costs": costs_of(trace, contents.findings[:KEPT]),
    }


def _finding(contents: Contents, number: int, finding: Finding) -> dict[str, Any]:
    shape = {**_plain(finding.to_json()), "headline": headline(finding)}
    if cost := list(cost_lines(finding)):
        shape["cost"] = cost
    if number < SLICES and finding.ops:
        part = slice_of(contents.order, finding)
        shape["slice"] = {"ops": part.ops, "roles": part.roles, "text": part.text}
    if number in contents.runs:
        shape["runs"] = contents.runs[number]
    return shape


def _plain(value: Any) -> Any:
    """Let numpy's numbers, sets and what JSON has no word for be something that it has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _rules(findings: Sequence[Finding]) -> dict[str, Any]:
    """Give the pages of the rules that spoke."""
    spoke = {finding.rule for finding in findings}
    return {
        code: {
            "name": rule.name,
            "title": rule.title,
            "sections": {h: text for h in HEADINGS if (text := rule.section(h))},
        }
        for code, rule in rules().items()
        if code in spoke
    }


def _table(contents: Contents) -> str:
    """Give the findings as a table, for readers without script."""
    rows = "".join(
        f"<tr><td>{_cell(f.severity)}</td><td>{_cell(f.rule)} {_cell(f.name)}</td>"
        f"<td>{_cell(headline(f))}</td><td>{_cell(f.hint)}</td></tr>\n"
        for f in contents.findings[:LISTED]
    )
    head = "<tr><th>Severity</th><th>Rule</th><th>What</th><th>Fix</th></tr>\n"
    more = len(contents.findings) - LISTED
    tail = f"<p>... and {more} more</p>" if more > 0 else ""
    return f"<table>\n{head}{rows}</table>{tail}"


def _cell(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())
