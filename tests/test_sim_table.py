"""What torch gives on the simulated device is what it gives on the CPU, under any schedule."""

from __future__ import annotations

import pytest

from streamsan import sim

pytest.importorskip("torch")

from sim_table import TABLE
from sim_table_twins import BOTH, expected, hazards, once, same

sim.install()
POLICIES = ["eager", "lazy", "timed", *(f"random({seed})" for seed in range(20))]
ROWS = [*TABLE, *BOTH]


def test_the_table_is_large() -> None:
    assert len(ROWS) == len(set(ROWS))
    assert len(ROWS) >= 180


@pytest.mark.parametrize("name", ROWS)
def test_values_are_those_of_the_cpu(name: str) -> None:
    program = once(name)
    for policy in POLICIES:
        run = sim.run(program, policy)
        same(expected(name), run.value)
        assert hazards(run) == []
