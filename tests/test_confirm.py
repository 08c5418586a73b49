"""``streamsan confirm`` and ``lint --confirm``: witnesses, hangs, fields, and runs in lanes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from expectations import CASES, cases, litmus
from test_litmus import PROGRAMS, trace_of

from streamsan import cli
from streamsan.checkers import check
from streamsan.commands.hall.confirming import Confirmer
from streamsan.sim.machine import compile_trace, judge, outcome_of, replay
from streamsan.sim.machine.slots import looks
from streamsan.sim.machine.witness import Judge
from streamsan.traces import load, save
from streamsan.traces.text import parse

UPLOAD = "malloc h pinned 8; write h; s: memcpy h -> d[0:8]; write h"
Run = Callable[..., tuple[int, str, str]]
DEADLOCKS = ("SO601", "SO602", "SO603")
FIELDS = ("SO701", "SO702", "SO703")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a trace that is given as text: (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def ran(command: str, text: str, *arguments: str) -> tuple[int, str, str]:
        save(parse(text), "t.trace.jsonl")
        capfd.readouterr()
        try:
            status = cli.main([command, "t.trace.jsonl", *arguments])
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capfd.readouterr()
        return status, out, err

    return ran


# --- lint --confirm


def test_lint_attaches_a_witness(run: Run) -> None:
    (finding,) = json.loads(run("lint", UPLOAD, "--confirm", "--format", "json")[1])["traces"][0][
        "findings"
    ]
    witness = finding["witness"]
    program = compile_trace(load("t.trace.jsonl"))
    outcomes = [outcome_of(program, replay(program, each)) for each in witness["schedules"]]

    assert (witness["reader"], witness["got"]) == (2, [1, 3])
    assert outcomes[0] != outcomes[1]
    assert finding["details"]["machine"] == "confirmed"


def test_lint_tells_it_in_text_too_and_without_being_asked_nothing(run: Run) -> None:
    status, out, _ = run("lint", UPLOAD, "--confirm")

    assert status == 1
    assert "in the machine: confirmed" in out
    assert "witness: op 2 sees what op 1 wrote or what op 3 wrote; schedules S1:" in out
    assert "witness" not in run("lint", UPLOAD)[1]


def test_what_is_not_reproduced_is_told_and_not_dropped(run: Run) -> None:
    # op 2 is behind a wait that is never met: the order speaks of ops that never run
    text = "a: wait_value x 1; b: launch w=q; a: launch r=q"
    plain = json.loads(run("lint", text, "--format", "json")[1])["traces"][0]["findings"]
    (told,) = json.loads(run("lint", text, "--confirm", "--format", "json")[1])["traces"]

    assert [f["rule"] for f in plain] == [f["rule"] for f in told["findings"]] == ["SO101"]
    words = told["findings"][0]["details"]["machine"]
    assert words == "not reproduced within bounds: op 2 never runs"
    assert told["findings"][0]["witness"] is None


# --- all expectations of the cases


def all_expected() -> list[tuple[str, Any, dict[str, Any]]]:
    found = [(name, trace_of(program), program) for name, program in PROGRAMS.items()]
    found += [(entry["trace"], load(CASES / entry["trace"]), entry) for entry in cases()]
    return found


def test_every_deadlock_that_is_expected_is_a_stuck_state_with_its_cycle() -> None:
    seen = dict.fromkeys(DEADLOCKS, 0)
    for name, trace, entry in all_expected():
        for wanted in entry["expect"]:
            if wanted["rule"] in DEADLOCKS:
                verdict = Judge(trace).hang(*wanted["ops"])
                assert verdict.confirmed, name
                assert len(verdict.circle) > 1, name
                assert all("waits for" in line for line in verdict.circle)
                seen[wanted["rule"]] += 1

    assert min(seen.values()) > 0
    assert len(litmus()) == len(PROGRAMS)


def test_no_program_without_an_expected_deadlock_hangs() -> None:
    for name, trace, entry in all_expected():
        told = [*entry["expect"], *entry.get("allow", [])]
        if not any(each["rule"] in (*DEADLOCKS, None) for each in told):
            assert not Judge(trace).hang(0).confirmed, name


def test_every_finding_on_a_field_is_what_the_machine_finds_there() -> None:
    seen = dict.fromkeys(FIELDS, 0)
    for name, trace, entry in all_expected():
        for finding in check(trace).findings:
            if finding.rule in FIELDS and any(look.op in finding.ops for look in looks(trace)):
                looked = Confirmer(trace).look(finding)
                assert looked is not None, name
                assert looked.verdict.confirmed, name
                assert "in every schedule op" in looked.verdict.reason
                seen[finding.rule] += 1
        if not any(each["rule"] in FIELDS for each in entry["expect"]):
            assert not any(look.wrong for look in looks(trace)), name

    assert min(seen.values()) > 0


def test_every_certain_hazard_of_the_cases_is_confirmed() -> None:
    confirmed = 0
    for name, trace, _ in all_expected():
        confirmer = Confirmer(trace)
        for finding in check(trace).findings:
            hazard = finding.rule.startswith(("SO1", "SO2")) and len(finding.ops) == 2
            if hazard and finding.severity == "error" and finding.confidence == "certain":
                looked = confirmer.look(finding)
                assert looked is not None, name
                assert looked.verdict.confirmed, (name, finding.rule, looked.verdict.reason)
                confirmed += 1

    assert confirmed > 180


# --- what used to have no witness


def test_two_nodes_of_one_launch_that_both_write() -> None:
    nodes = '[{"op":"launch","writes":["a"],"after":[]},{"op":"launch","writes":["a"],"after":[]}]'
    trace = parse(f"s: graph_capture g nodes={nodes}; s: graph_launch g; s: launch r=a")
    (finding,) = [f for f in check(trace) if f.rule == "SO103"]
    verdict = judge(trace, (1, 1), nodes=finding.nodes)

    assert verdict.witness is not None
    assert (verdict.witness.reader, verdict.witness.got) == (2, (1, 1))
    assert sorted(verdict.witness.nodes or ()) == [0, 1]
    assert verdict.witness.words == ("what node 1 of op 1 wrote", "what node 0 of op 1 wrote")


def test_memory_used_after_its_free_meets_its_next_owner() -> None:
    trace = parse("malloc h 8 pageable; write h; free h; s: launch r=h")
    verdict = judge(trace, (2, 3))

    assert verdict.witness is not None
    assert sorted(verdict.witness.words) == ["memory that op 2 freed", "what op 1 wrote"]


def test_what_the_host_does_unseen_is_run_for_its_own_finding_only(run: Run) -> None:
    text = "malloc h 8 pinned; host_escape h; s: memcpy h -> d[0:8]; stream_sync s; free h"
    (found,) = [f for f in check(parse(text)) if f.confidence == "possible"]
    verdict = judge(parse(text), (found.ops[0], found.ops[1]))

    assert found.ops == (1, 2)
    assert verdict.witness is not None
    assert (verdict.witness.reader, set(verdict.witness.got)) == (2, {None, 1})
    status, out, _ = run("explore", text)
    assert (status, "1 outcome in all schedules" in out) == (0, True)
    status, out, _ = run("explore", text, "--replay", verdict.witness.schedules[0])
    assert status == 0
    assert "unseen host code" in out


# --- confirm


def test_the_list_numbers_the_findings(run: Run) -> None:
    status, out, _ = run(
        "confirm", f"{UPLOAD}; s: sync; a: wait_value x 1".replace("s: sync; ", "")
    )

    assert status == 1
    assert out.startswith("1. SO112 staging-overwrite, ops 2 and 3: WAR on h (error)\n   confirmed")
    assert "run 1: op 2 gets what op 1 wrote" in out
    assert "run 2: op 2 gets what op 3 wrote" in out


@pytest.mark.parametrize("columns", [100, 60])
def test_both_runs_side_by_side(
    run: Run, columns: int, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = "t: launch w=q; t: record e; s: wait e; write h; s: memcpy h -> d kind=H2D; write h"
    out = run("confirm", "malloc h pinned 8; " + text, "--finding", "1", "--replay")[1]

    assert all(len(line) <= columns for line in out.splitlines())
    golden(f"confirm_{columns}.txt", out)


def test_the_runs_as_data(run: Run) -> None:
    out = run("confirm", UPLOAD, "--finding", "1", "--replay", "--format", "json")[1]
    (finding,) = json.loads(out)["findings"]
    orders = [[step["op"] for step in each["steps"]] for each in finding["runs"]]

    assert (finding["number"], finding["confirmed"], finding["rule"]) == (1, True, "SO112")
    assert orders == [[1, 2, 3], [1, 3, 2]]
    assert finding["runs"][1]["steps"][2]["got"] == "what op 3 wrote"


def test_a_reader_that_comes_later_is_told_after_all_the_rest(run: Run) -> None:
    text = (
        "s: launch w=a; t: launch w=a; s: record e; t: wait e; t: record f; sync f; t: launch r=a"
    )
    found = check(parse(text)).findings
    number = next(n for n, f in enumerate(found, 1) if f.ops == (0, 1))
    out = run("confirm", text, "--finding", str(number), "--replay")[1]

    assert "... all the rest, and then" in out
    assert "run 1: op 6 gets what op 1 wrote" in out
    assert "run 2: op 6 gets what op 0 wrote" in out


def test_a_hang_is_shown_up_to_where_everything_stands_still(run: Run) -> None:
    text = "s: launch w=a; s: wait_value x 1; stream_sync s; store x 1"
    status, out, _ = run("confirm", text, "--finding", "1", "--replay")

    assert status == 1
    assert "confirmed: every schedule ends here" in out
    assert "op 1 on s waits for the value at x, to be written on host:main after op 2" in out
    assert "op 2 on host:main waits for s, which is at op 1" in out
    assert "op 0 launch" in out


def test_findings_on_costs_are_not_looked_into(run: Run) -> None:
    text = "s1: launch w=a; s3: launch w=z; stream_sync s3; s1: launch r=a"
    status, out, _ = run("confirm", text)

    assert status == 0
    assert "not looked into: no two schedules differ by it" in out


def test_no_findings(run: Run) -> None:
    status, out, _ = run("confirm", "s: launch w=a; s: launch r=a")

    assert (status, out) == (0, "t.trace.jsonl: no findings.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--finding", "2"), "there is no finding 2: the trace has 1 finding"),
        (("--finding", "0"), "must be at least 1"),
        (("--replay",), "--replay shows one finding: name it with --finding N"),
        (("--select", "SO999"), "SO999"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run("confirm", UPLOAD, *arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
