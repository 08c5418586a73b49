"""How the expectations of the cases are matched; the rules stand in ``cases/README.md``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamsan.checkers import Finding

CASES = Path(__file__).parent / "cases"
FAMILIES = (("SO101", "SO102", "SO103"), ("SO111", "SO112", "SO113"))
"""Rules that differ in their kind only."""
Expectation = dict[str, Any]


def litmus() -> list[dict[str, Any]]:
    """Give the litmus programs."""
    lines = (CASES / "litmus.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def cases() -> list[dict[str, Any]]:
    """Give the entries of ``expectations.json``."""
    found: list[dict[str, Any]] = json.loads(
        (CASES / "expectations.json").read_text(encoding="utf-8")
    )
    return found


def matches(finding: Finding, wanted: Expectation, kinds: Iterable[str] = ()) -> bool:
    """Whether a finding is the expected one; what is None, or not given, may be anything.

    Args:
        finding: what was reported.
        wanted: the expectation.
        kinds: kinds that are as good in this case; they free the rule within its family.
    """
    rule, kind = wanted.get("rule"), wanted.get("kind")
    if finding.kind in kinds:
        kind = None
        family = next((f for f in FAMILIES if rule in f), (rule,))
        rule = finding.rule if finding.rule in family else rule
    return (
        rule in (None, finding.rule)
        and kind in (None, finding.kind)
        and wanted.get("ops") in (None, list(finding.ops))
        and wanted.get("buffer") in (None, finding.buffer)
        and wanted.get("confidence") in (None, finding.confidence)
    )


def ways(wanted: Expectation) -> list[Expectation]:
    """Give an expectation and the other ways to tell it. In litmus those are ops alone."""
    others = [
        {"rule": wanted["rule"], "ops": other} if isinstance(other, list) else other
        for other in wanted.get("also_ok", ())
    ]
    return [wanted, *others]


def verdict(findings: Iterable[Finding], entry: dict[str, Any]) -> tuple[list[Any], list[Finding]]:
    """Give the expectations that nothing meets, and the certain errors that nothing allows."""
    findings, kinds = list(findings), entry.get("kinds_also_ok", ())
    expected = entry["expect"]
    missing = [
        wanted
        for wanted in expected
        if not any(matches(f, way, kinds) for way in ways(wanted) for f in findings)
    ]
    fine = [way for wanted in expected for way in ways(wanted)] + list(entry.get("allow", ()))
    wrong = [
        f
        for f in findings
        if (f.severity, f.confidence) == ("error", "certain")
        and not any(matches(f, way, kinds) for way in fine)
    ]
    return missing, wrong
