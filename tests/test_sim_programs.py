"""Four races and their synchronised twins under 203 schedules each."""

from __future__ import annotations

import pytest

import streamsan
from streamsan import sim

pytest.importorskip("torch")

from sim_programs import PROGRAMS

sim.install()
SCHEDULES = ["eager", "lazy", "timed", *(f"random({seed})" for seed in range(200))]


def hazards(run: sim.Run) -> list[streamsan.Finding]:
    """Findings but those on waiting too much: a test waits wherever it looks at a value."""
    assert run.trace is not None
    return [f for f in streamsan.check(run.trace) if not f.rule.startswith("SO4")]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_race_is_wrong_when_late_and_is_reported(name: str) -> None:
    program, right, rules = PROGRAMS[name]
    eager = sim.run(lambda: program(False))
    assert eager.value == right
    found = [f for f in hazards(eager) if f.rule in rules]
    assert found
    assert sim.run(lambda: program(False), "lazy").value != right
    for finding in found:
        assert sim.run(lambda: program(False), f"directed({finding.ops[0]})").value != right


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_race_has_several_outcomes(name: str) -> None:
    program, right, _ = PROGRAMS[name]
    values = [sim.run(lambda: program(False), policy).value for policy in SCHEDULES]
    assert values.count(right) < len(values)
    assert right in values


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_synchronised_twin_is_right_and_silent_everywhere(name: str) -> None:
    program, right, _ = PROGRAMS[name]
    held = sim.run(lambda: program(True)).trace
    assert held is not None
    for policy in [*SCHEDULES, "pct(3,1)"]:
        run = sim.run(lambda: program(True), policy)
        assert run.value == right, policy
        assert hazards(run) == [], policy


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("policy", ["random(11)", "pct(3,5)", "timed", "eager", "lazy"])
def test_a_run_replays(name: str, policy: str) -> None:
    program, _, _ = PROGRAMS[name]
    run = sim.run(lambda: program(False), policy)
    again = sim.run(lambda: program(False), run.schedule)
    assert repr(again.value) == repr(run.value)  # what was poisoned is not a number
    assert again.schedule == run.schedule
