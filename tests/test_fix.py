"""A fix that a finding offers removes that finding, and makes no new hazard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamsan.checkers import Finding, check
from streamsan.checkers.fix import apply_fix
from streamsan.traces import Trace, load
from streamsan.traces.text import parse

CASES = Path(__file__).parent / "cases"
BUGGY = sorted(
    case["trace"]
    for case in json.loads((CASES / "expectations.json").read_text(encoding="utf-8"))
    if case["expect"]
)


def names(trace: Trace, finding: Finding) -> tuple[object, ...]:
    """What stays the same when ops move: rule, kind, buffer, and the ops' own fields."""
    ops = tuple(repr(sorted(trace[op].fields().items())) for op in finding.ops)
    return finding.rule, finding.kind, finding.buffer, ops


@pytest.mark.parametrize("name", BUGGY)
def test_the_fix_of_each_error_removes_it(name: str) -> None:
    trace = load(CASES / name)
    before = [f for f in check(trace) if f.severity == "error"]
    known = {names(trace, f) for f in before}

    for finding in before:
        if finding.fix is None:
            continue
        repaired = apply_fix(trace, finding.fix)
        after = {names(repaired, f) for f in check(repaired) if f.severity == "error"}

        assert names(trace, finding) not in after
        assert len(after - known) == 0


def test_most_errors_of_the_cases_have_a_fix() -> None:
    offered = total = 0
    for name in BUGGY:
        for finding in check(load(CASES / name)):
            if finding.severity == "error" and finding.rule[:3] in ("SO1", "SO2"):
                total += 1
                offered += finding.fix is not None

    assert total > 100
    assert offered >= 0.9 * total


def test_a_self_wait_is_removed() -> None:
    trace = parse("s: launch k w=a; s: record e; s: wait e; s: launch k r=a")
    (finding,) = check(trace)

    assert finding.rule == "SO303"
    assert finding.fix is not None
    assert finding.fix == {"remove": 2}
    assert len(check(apply_fix(trace, finding.fix))) == 0


def test_the_range_spans_every_byte_in_conflict() -> None:
    text = "s1: launch k w=a[0:8],a[32:40] r=a[64:72]; s2: launch k r=a[4:6],a[36:60],a[64:72]"
    (finding,) = check(parse("malloc a device 128; " + text))

    assert finding.rule == "SO101"
    assert finding.range == (4, 36)  # bytes 4 to 6 and 36 to 40: the span is 4 to 40
