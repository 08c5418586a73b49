"""The recorder of a real device against the simulated device's own record of the same runs.

This is the strongest check of the recorder without a GPU: the two know each other's facts by
different ways. The recorder is told of handles, pointers and calls; the device knows everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamsan import sim

pytest.importorskip("torch")

from recorder_compare import both, differences, told
from sim_programs import PROGRAMS
from sim_table import TABLE
from sim_table_twins import BOTH, NO_TWIN, expected, once, same, twin

sim.install()

DIFFERENT = {
    "host_format": "the device overrides __format__; on a real tensor it goes through item()",
    "host_set": "the device takes the target of a copy on the host as read, too",
    "host_copy": "the device takes the target of a copy on the host as read, too",
}
ROWS = [name for name in {**TABLE, **BOTH} if name not in DIFFERENT]
RACES = [name for name in {**TABLE, **BOTH} if name not in NO_TWIN and name not in DIFFERENT]


@pytest.mark.parametrize("name", ROWS)
def test_both_records_are_the_same(name: str, tmp_path: Path) -> None:
    own, seen, value = both(once(name), tmp_path / "seen.trace.jsonl")

    assert len(seen) > 0
    assert differences(own, seen) == []
    assert told(own) == told(seen)
    same(expected(name), value)


@pytest.mark.parametrize("name", RACES[::4])
def test_a_race_is_in_both_records(name: str, tmp_path: Path) -> None:
    own, seen, _ = both(twin(name, False), tmp_path / "seen.trace.jsonl")

    assert differences(own, seen) == []
    assert told(own) == told(seen)
    assert any(rule.startswith(("SO1", "SO2")) for rule, *_ in told(seen))


@pytest.mark.parametrize("synced", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_small_programs_give_the_same_findings(name: str, synced: bool, tmp_path: Path) -> None:
    own, seen, _ = both(lambda: PROGRAMS[name][0](synced), tmp_path / "seen.trace.jsonl")

    assert differences(own, seen) == []
    assert told(own) == told(seen)


@pytest.mark.parametrize("policy", ["lazy", "random(3)"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_schedules_change_nothing(name: str, policy: str, tmp_path: Path) -> None:
    own, seen, _ = both(lambda: PROGRAMS[name][0](False), tmp_path / "a.trace.jsonl", policy)

    assert differences(own, seen) == []
    assert told(own) == told(seen)


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    def one() -> Any:
        return PROGRAMS["free_in_use"][0](False)

    def other() -> Any:
        return PROGRAMS["free_in_use"][0](True)

    own, _, _ = both(one, tmp_path / "a.trace.jsonl")
    _, seen, _ = both(other, tmp_path / "b.trace.jsonl")

    assert differences(own, seen)
    assert told(own) != told(seen)
