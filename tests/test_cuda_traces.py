"""Traces recorded on a GPU, linted without one: every bug found, every fixed program silent.

``benchmarks/validate.py -o DIR`` records them; ``DIR/traces`` and ``DIR/provenance.json`` go to
``tests/data/cuda``. What each must give stands in its scenario, as for the simulated device.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from streamsan.commands.hall.scenarios import judge
from streamsan.sim.scheduler.scenarios import find_scenario
from streamsan.sim.scheduler.scenarios.outcome import Played
from streamsan.traces import load
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.times import hold_against_times

FOLDER = Path(__file__).parent / "data" / "cuda"
TRACES = sorted(FOLDER.glob("*.trace.jsonl.gz"))
NONE_YET = pytest.param(
    Path("none"),
    marks=pytest.mark.skip(reason="no traces of a GPU are committed yet: see issue 9"),
)
TOLERANCE = 1_000
"""ns: two kernels of one stream that lie back to back touch to within the clock's tick."""

each_trace = pytest.mark.parametrize("path", TRACES or [NONE_YET], ids=lambda path: path.name)


@each_trace
def test_it_gives_what_its_scenario_says(path: Path) -> None:
    name, _, variant = path.name.removesuffix(".trace.jsonl.gz").rpartition("_")
    scenario = find_scenario(name)
    assert scenario is not None
    verdict = judge(scenario, Played({}, (), load(path)), variant)

    assert verdict.missing == ()
    assert [(each.rule, each.message) for each in verdict.extra] == []


@each_trace
def test_every_activity_of_the_device_is_an_op_and_has_its_time(path: Path) -> None:
    trace = load(path)

    assert trace.header.source == "torch-cuda"
    assert trace.header.complete.accesses
    assert trace.gaps == ()
    untimed = {op.name for op in trace if op.word in {"launch", "memcpy", "memset"}
               and "begin" not in op.fields()}  # fmt: skip
    assert untimed == set()


@each_trace
def test_no_device_time_contradicts_the_order(path: Path) -> None:
    held = hold_against_times(HappensBefore(load(path)), TOLERANCE)

    assert held.checked > 0
    assert held.contradictions == ()


@pytest.mark.skipif(not TRACES, reason="no traces of a GPU are committed yet: see issue 9")
def test_it_is_told_where_they_come_from() -> None:
    rows = json.loads((FOLDER / "provenance.json").read_text())["rows"]

    assert set(rows) == {"device", "driver", "CUDA", "torch", "python", "streamsan", "command"}
    assert "unknown" not in rows.values()
    assert sum(path.stat().st_size for path in TRACES) < 4_000_000
