"""``streamsan explore``: outcomes, bounds and schedules that replay anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamsan import cli
from streamsan.sim.machine import compile_trace, explore, outcome_of, replay
from streamsan.traces import load, save
from streamsan.traces.text import parse

RACE = "malloc h pinned 8; write h; s: memcpy h -> d[0:8]; s: launch use r=d[0:8]; write h"
"""Op 2 reads ``h``, which ops 1 and 4 write; nothing orders op 4 after it."""
HANG = "s: wait_value x 1; stream_sync s; store x 1"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a trace that is given as text: (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def ran(text: str, *arguments: str) -> tuple[int, str, str]:
        save(parse(text), "t.trace.jsonl")
        capfd.readouterr()
        try:
            status = cli.main(["explore", "t.trace.jsonl", *arguments])
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capfd.readouterr()
        return status, out, err

    return ran


def data(run: Run, text: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(text, *arguments, "--format", "json")[1])
    return found


def test_the_outcomes_of_a_race(run: Run) -> None:
    status, out, err = run(RACE)

    assert (status, err) == (1, "")
    assert "3 outcomes in all schedules" in out
    for seen in ("what op 1 wrote", "what op 4 wrote", "half of what op 4 writes"):
        assert f"op 2 reads h: {seen}" in out
    assert "op 3 reads d" not in out  # the same in all of them


def test_an_ordered_program_has_one_outcome(run: Run) -> None:
    status, out, _ = run(RACE.replace("; write h", "; stream_sync s; write h", 2))

    assert status == 0
    assert "1 outcome in all schedules" in out


def test_json_has_every_outcome_and_a_schedule_that_replays_to_it(run: Run) -> None:
    found = data(run, RACE)
    program = compile_trace(load("t.trace.jsonl"))
    got = []
    for each in found["outcomes"]:
        outcome = outcome_of(program, replay(program, each["schedule"]))
        expected = next(f for f in explore(program).found if f.outcome == outcome)
        assert each["times"] == expected.times
        got += [read["got"] for read in each["reads"] if read["op"] == 2]

    assert found["complete"] is True
    assert sum(each["times"] for each in found["outcomes"]) == found["schedules"]
    assert sorted(got) == [["half of what op 4 writes"], ["what op 1 wrote"], ["what op 4 wrote"]]


def test_runs_by_chance_are_counted_and_the_same_again(run: Run) -> None:
    first = data(run, RACE, "--random", "40", "--seed", "3")

    assert sum(each["times"] for each in first["outcomes"]) == first["schedules"] == 40
    assert first["complete"] is False
    assert data(run, RACE, "--random", "40", "--seed", "3") == first
    assert data(run, RACE, "--pct", "2", "--runs", "30")["schedules"] == 30
    assert "Others may exist." in run(RACE, "--pct", "1")[1]


def test_a_bound_is_told(run: Run) -> None:
    status, out, _ = run(RACE, "--max-states", "0")

    assert "The bound of 0 states was hit: others may exist (--max-states)." in out
    assert data(run, RACE, "--max-states", "0")["complete"] is False
    assert status == 0  # of the one run that was led to its end


def test_no_conflict_is_told(run: Run) -> None:
    status, out, _ = run("s: launch w=a; t: launch w=b; read c")

    assert status == 0
    assert "No two ops on different lines conflict" in out
    assert data(run, "mark nothing")["conflicting"] is False


def test_a_hang_is_told_with_its_circle(run: Run) -> None:
    status, out, _ = run(HANG)

    assert status == 1
    assert "stuck: op 0 on s waits for the value at x, to be written on host:main" in out
    assert "stuck: op 1 on host:main waits for s, which is at op 0" in out
    assert data(run, HANG)["outcomes"][0]["circles"] == [[0, 1]]


def test_a_run_is_replayed_op_by_op(run: Run) -> None:
    late = next(
        each["schedule"]
        for each in data(run, RACE)["outcomes"]
        if ["what op 4 wrote"] in [read["got"] for read in each["reads"]]
    )
    status, out, _ = run(RACE, "--replay", late)
    steps = json.loads(run(RACE, "--replay", late, "--format", "json")[1])["steps"]

    assert status == 0
    assert [step["op"] for step in steps] == [1, 4, 2, 3]
    assert steps[2]["got"] == "what op 4 wrote"
    assert "op 2 memcpy" in out
    assert "-> what op 4 wrote" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--replay", "nonsense"), "'nonsense' is no schedule"),
        (("--replay", "S1:0000:a1"), "another trace, or of other semantics"),
        (("--random", "0"), "--random: must be at least 1"),
        (("--pct", "0"), "--pct: must be at least 1"),
        (("--max-states", "-1"), "not a number"),
        (("--watch", "99"), "the trace has no op '99'"),
        (("--watch", ","), "--watch names no op"),
        (("--random", "1", "--pct", "1"), "not allowed with"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(RACE, *arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_schedule_that_the_trace_cannot_follow(run: Run) -> None:
    checksum = data(run, RACE)["outcomes"][0]["schedule"].split(":")[1]
    for steps, message in (
        ("a9", "the schedule has steps that the trace has not"),
        ("a5", "a5"),
        ("(a2)", "s cannot have ended 2 actions there"),
        ("zz1", "has not: zz1"),
    ):
        status, _, err = run(RACE, "--replay", f"S1:{checksum}:{steps}")
        assert status == 2
        assert err.count("\n") == 1
        assert message in err or "has to wait" in err


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_a_schedule_replays_to_the_same_outcome_elsewhere(run: Run, seed: str) -> None:
    text = RACE + "; malloc x 64 caching stream=s address=A; t: launch w=x; free x"
    found = data(run, text)
    for each in found["outcomes"][:3]:
        command = ["explore", "t.trace.jsonl", "--replay", each["schedule"], "--format", "json"]
        here = json.loads(run(text, *command[2:])[1])
        there = subprocess.run(
            [sys.executable, "-m", "streamsan", *command],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=False,
        )
        assert json.loads(there.stdout) == here


def test_of_a_large_trace_the_memory_that_findings_name_is_kept(run: Run) -> None:
    step = "s: launch w=f; s: record e; t: wait e; t: launch r=f; t: record g; s: wait g\n"
    status, out, _ = run(step * 400 + "s: launch w=a; t: launch r=a")

    assert status == 1
    assert "Only the memory of the 2 ops" in out
    assert "3 outcomes in all schedules" in out
    schedule = next(word for word in out.split() if word.startswith("S1:"))
    assert len(schedule) < 60  # the beginning is told by its length, not step by step
    assert run(step * 400 + "s: launch w=a; t: launch r=a", "--replay", schedule)[0] == 0


def test_watching_ops_leaves_the_others_out(run: Run) -> None:
    text = f"{RACE}; t: launch r=z; u: launch w=z"
    found = data(run, text, "--watch", "2")

    assert found["watched"] == [2]
    assert {read["buffer"] for each in found["outcomes"] for read in each["reads"]} == {"h", "d"}
