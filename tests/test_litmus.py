"""The litmus programs of the R-rules: at the level of the order, and through the checkers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from expectations import litmus, verdict, ways

from streamsan.checkers import check
from streamsan.traces import Trace
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.order import HappensBefore
from streamsan.traces.text import format_trace, parse

PROGRAMS = {program["id"]: program for program in litmus()}
RULES = sorted(
    {name.split(".")[0] for name in PROGRAMS}, key=lambda name: (name[0], int(name.lstrip("RSO")))
)
"""The R-rules, and some rules of streamsan itself."""
CONFLICTS = (
    *("SO101", "SO102", "SO103", "SO111", "SO112", "SO113", "SO114", "SO115", "SO116"),
    "SO202",
)
"""Rules that speak of a pair of conflicting accesses."""
HAZARDS = (*CONFLICTS, "SO201", "SO203", "SO204", "SO205", "SO206", "SO701")
"""Rules that may stand for such a pair."""


def trace_of(program: dict[str, Any]) -> Trace:
    """Make the trace of a litmus program."""
    ops = msgspec.convert(program["ops"], list[o.AnyOp])
    semantics = msgspec.convert(program.get("semantics", {}), o.Semantics)
    return from_ops(ops, o.Header(semantics=semantics))


def raced(order: HappensBefore) -> set[tuple[int, ...]]:
    """Give the ops of each race."""
    return {tuple(sorted(race.ops)) for race in order.races()}


def test_every_rule_has_a_program() -> None:
    # R42 is about programs that fail, and has no litmus line
    assert {rule for rule in RULES if rule[0] == "R"} == {f"R{n}" for n in range(1, 55)} - {"R42"}


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_the_litmus_programs(rule: str) -> None:
    for name, program in PROGRAMS.items():
        if name.split(".")[0] != rule:
            continue
        found = raced(HappensBefore(trace_of(program), engine="python"))
        certain = [e for e in program["expect"] if e.get("confidence") != "possible"]
        expected = {tuple(sorted(e["ops"])) for e in certain if e["rule"] in CONFLICTS}
        assert expected <= found, name
        told = [way for e in program["expect"] for way in ways(e)] + program.get("allow", [])
        if not any(way["rule"] in HAZARDS or way["rule"] is None for way in told):
            assert found == set(), name


@pytest.mark.parametrize("rule", RULES)
def test_the_findings_of_the_litmus_programs(rule: str) -> None:
    for name, program in PROGRAMS.items():
        if name.split(".")[0] == rule:
            missing, wrong = verdict(check(trace_of(program)), program)
            assert not missing, name
            assert not wrong, name


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_litmus_program_says_the_same_as_text(name: str) -> None:
    trace = trace_of(PROGRAMS[name])
    again = parse(format_trace(trace))

    assert [(op.word, op.fields()) for op in again] == [(op.word, op.fields()) for op in trace]
    assert again.header == trace.header
