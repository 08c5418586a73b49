"""A rule's docstring is its test: its Bad trace gives its code, its Good trace gives nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamsan.checkers import check
from streamsan.checkers.rule import HEADINGS, Rule, chosen, rules
from streamsan.traces import Trace
from streamsan.traces.errors import UsageError
from streamsan.traces.model import Damage
from streamsan.traces.text import parse

RULES = list(rules().values())
EXPECTED = {
    **dict.fromkeys(["SO101", "SO102", "SO103", "SO111", "SO112", "SO113"], "error"),
    "SO114": "warning",
    **dict.fromkeys(["SO115", "SO116"], "error"),
    "SO201": "warning",
    **dict.fromkeys(["SO202", "SO203", "SO204", "SO205", "SO206", "SO301"], "error"),
    "SO302": "info",
    **dict.fromkeys(["SO303", "SO304"], "warning"),
    "SO305": "error",
    **dict.fromkeys(["SO401", "SO402", "SO403", "SO404", "SO405"], "warning"),
    **dict.fromkeys(["SO501", "SO502", "SO503", "SO504"], "warning"),
    **dict.fromkeys(["SO601", "SO602", "SO603", "SO701", "SO702", "SO703"], "error"),
    **dict.fromkeys(["SO901", "SO902"], "warning"),
}
"""Codes and default severities as the overview of rules.md gives them."""


def example(rule: Rule, heading: str) -> Trace:
    trace = parse(rule.section(heading))
    if rule.code == "SO901" and heading == "Bad":
        return replace(trace, damage=Damage("the file is cut", len(trace), None, 3))
    return trace


def test_every_rule_is_there_with_its_severity() -> None:
    assert {rule.code: rule.severity for rule in RULES} == EXPECTED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_docstring_is_complete(rule: Rule) -> None:
    assert rule.title.endswith(".")
    for heading in HEADINGS:
        assert rule.section(heading), f"{rule.code} lacks {heading}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_bad_is_found(rule: Rule) -> None:
    found = check(example(rule, "Bad"))

    assert rule.code in {finding.rule for finding in found}
    for finding in found:
        if finding.rule == rule.code:
            assert finding.name == rule.name
            assert finding.message
            assert finding.hint


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_good_is_silent(rule: Rule) -> None:
    found = check(example(rule, "Good"))

    assert [f for f in found if f.severity != "info"] == []
    assert rule.code not in {finding.rule for finding in found}


def test_select_and_ignore_take_prefixes_and_the_longer_one_wins() -> None:
    codes = [rule.code for rule in chosen(["SO1"], ["SO11", "so101"])]

    assert codes == ["SO102", "SO103"]
    assert [r.code for r in chosen(["SO112"], ["ALL"])] == ["SO112"]
    assert len(chosen([], [])) == len(RULES)


def test_a_prefix_of_no_rule_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="SO8"):
        chosen(["SO8"], [])


def test_a_copy_that_puts_back_equal_bytes_is_no_overwrite() -> None:
    text = (
        "s1: memcpy h -> a H2D digest={}; s1: record e; s2: wait e; s2: launch k r=a; "
        "s1: memcpy h -> a H2D digest={}"
    )

    def hazards(given: str) -> list[str]:
        return [f.rule for f in check(parse(given)) if f.rule.startswith("SO1")]

    assert hazards(text.format("x", "x")) == []
    assert hazards(text.format("x", "y")) == ["SO102"]
    assert hazards(text.replace(" digest={}", "")) == ["SO102"]
