"""The collected cases: programs that go wrong, their repaired forms, and what must be said."""

from __future__ import annotations

from typing import Any

import pytest
from expectations import CASES, cases, verdict

from streamsan.checkers import Settings, check
from streamsan.traces import load

ENTRIES = {entry["trace"]: entry for entry in cases()}


def test_every_trace_has_an_entry() -> None:
    traces = {path.relative_to(CASES).as_posix() for path in CASES.glob("*/*.trace.jsonl")}

    assert traces == set(ENTRIES)
    assert len(ENTRIES) == len(cases())


@pytest.mark.parametrize("name", ENTRIES)
def test_a_case(name: str) -> None:
    missing, wrong = verdict(check(load(CASES / name), Settings()), ENTRIES[name])

    assert not missing
    assert not wrong


def test_the_expectations_are_hard_to_meet_by_saying_nothing() -> None:
    asked: list[Any] = [wanted for entry in ENTRIES.values() for wanted in entry["expect"]]
    missing = [m for entry in ENTRIES.values() for m in verdict((), entry)[0]]

    assert len(missing) > len(asked) // 2
