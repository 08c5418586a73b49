"""What torch gives on the simulated device is what it gives on the CPU, under any schedule."""

from __future__ import annotations

from typing import Any

import pytest

import streamsan
from streamsan import sim

torch = pytest.importorskip("torch")

from sim_table import TABLE  # noqa: E402 - needs torch

sim.install()
POLICIES = ["eager", "lazy", "random(1)", "random(2)", "random(3)", "pct(3,4)"]


def plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return [plain(each) for each in value]
    return value


def same(one: Any, other: Any) -> None:
    if isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("name", TABLE)
def test_values_are_those_of_the_cpu(name: str) -> None:
    expected = plain(TABLE[name]("cpu"))
    for policy in POLICIES:
        run = sim.run(lambda: plain(TABLE[name]("simcuda")), policy)
        same(expected, run.value)
        assert run.trace is not None
        assert [f for f in streamsan.check(run.trace) if not f.rule.startswith("SO4")] == []
