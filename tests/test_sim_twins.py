"""Every row of the table that touches memory, with its wait and with the wait left out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamsan import sim

pytest.importorskip("torch")

from sim_table import TABLE
from sim_table_streams import HOST, STREAMS
from sim_table_twins import MADE, NO_TWIN, differs, expected, hazards, same, twin

sim.install()
TWINS = [name for name in (*TABLE, *STREAMS, *HOST) if name not in NO_TWIN]


def test_nearly_every_row_has_a_twin() -> None:
    assert set(NO_TWIN) | MADE <= set(TABLE)
    assert len(NO_TWIN) == 5
    assert len(TWINS) == len(set(TWINS)) == len(TABLE) + len(STREAMS) + len(HOST) - 5
    assert len(TWINS) >= 180


@pytest.mark.parametrize("name", TWINS)
def test_with_its_wait_a_row_is_right_and_silent(name: str) -> None:
    for policy in ("eager", "lazy", "timed", "random(1)"):
        run = sim.run(twin(name, synced=True), policy)
        same(expected(name), run.value)
        assert hazards(run) == []


@pytest.mark.parametrize("name", HOST)
def test_without_its_wait_the_host_comes_too_early(name: str) -> None:
    assert differs(expected(name), sim.run(twin(name, synced=False), "lazy").value)


@pytest.fixture(scope="module")
def small_heap() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what is there now need not be looked through before every run
    yield
    gc.unfreeze()


def run_anew(program: Callable[[], Any], policy: str) -> sim.Run:
    """Run a program with nothing left of an earlier run: what is freed in between shifts ops."""
    gc.collect()
    return sim.run(program, policy)


@pytest.mark.usefixtures("small_heap")
@pytest.mark.parametrize("name", TWINS)
def test_without_its_wait_a_row_is_reported_and_wrong(name: str) -> None:
    program = twin(name, synced=False)
    eager = run_anew(program, "eager")
    same(expected(name), eager.value)
    kinds = ("SO111", "SO112", "SO113") if name in HOST else ("SO101", "SO102", "SO103", "SO201")
    found = [f for f in hazards(eager) if f.severity == "error"]
    assert found
    assert {finding.rule for finding in found} <= set(kinds)
    assert all(len(finding.ops) >= 2 for finding in found)
    for first in {finding.ops[0] for finding in found}:
        late = run_anew(program, f"directed({first})")
        assert differs(expected(name), late.value)
