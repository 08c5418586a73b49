"""Scenarios of the mini-scheduler: each bug is found, is real, and its fix is silent.

What a buggy variant must give stands in the scenario, taken from section 5 of
``spec/overlap-scheduler.md``; what it should look like, in the hand-written traces of
``cases/scheduler``. What remains of true warnings was read one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("torch")

from streamsan.checkers import Finding, check
from streamsan.commands.hall.scenarios import confirm, judge, label
from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.scenarios import all_scenarios, find_scenario
from streamsan.sim.scheduler.scenarios.asks import TWO
from streamsan.sim.scheduler.scenarios.outcome import Played
from streamsan.sim.scheduler.scenarios.play import play
from streamsan.sim.scheduler.scenarios.scenario import Expect, Scenario

CASES = Path(__file__).parent / "cases"
REMAINING = Path(__file__).parent / "golden" / "scheduler_remaining.json"
ALL = {each.name: each for each in all_scenarios()}
PAIRS = [name for name, each in ALL.items() if each.buggy is not None]
RACES = [name for name in PAIRS if ALL[name].wrong != "time"]
SAME_RULE_REMAINS = {"verify_done_sync": "SO404"}
"""Pairs about a rule of which an era has true warnings besides: the coarse fence (section 5)."""


@cache
def buggy(name: str) -> Played:
    args = ALL[name].buggy
    assert args is not None
    return play(args, ALL[name].asks)


@cache
def fixed(name: str) -> Played:
    return play(ALL[name].fixed, ALL[name].asks)


def findings(played: Played) -> list[Finding]:
    assert played.trace is not None
    return list(check(played.trace))


def one(name: str) -> Scenario:
    found = find_scenario(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_the_bug_is_found_and_nothing_else_is_an_error(name: str) -> None:
    verdict = judge(ALL[name], buggy(name), "buggy")
    assert verdict.missing == ()
    assert [(each.rule, each.message) for each in verdict.extra] == []


@pytest.mark.parametrize("name", ALL)
def test_a_correct_program_is_silent(name: str) -> None:
    found = findings(fixed(name))
    assert [each.message for each in found if each.severity == "error"] == []
    about = {each.rule for each in ALL[name].expect} - {SAME_RULE_REMAINS.get(name)}
    assert [each.message for each in found if each.rule in about] == []


@pytest.mark.parametrize("name", ALL)
def test_a_correct_program_gives_the_tokens_of_the_oracle(name: str) -> None:
    each = ALL[name]
    assert fixed(name).wrong == ()
    for policy in ("lazy", "random(1)"):
        assert play(each.fixed, each.asks, policy=policy, record=False).wrong == ()


@pytest.mark.parametrize("name", ALL)
def test_true_warnings_that_remain_are_pinned(name: str) -> None:
    trace = fixed(name).trace
    assert trace is not None
    found = [
        f"{each.rule} {each.severity}: {' '.join(label(trace, op) for op in each.ops)}"
        for each in findings(fixed(name))
    ]
    assert dict(sorted(Counter(found).items())) == json.loads(REMAINING.read_text())[name]


@pytest.mark.parametrize("name", RACES)
def test_the_hazard_is_confirmed_by_other_tokens_or_values(name: str) -> None:
    evidence = confirm(ALL[name], buggy(name))
    assert evidence is not None
    assert evidence.kind in {"tokens", "values"}


@pytest.mark.parametrize("name", [name for name in PAIRS if ALL[name].wrong == "time"])
def test_what_only_costs_time_leaves_the_tokens_right(name: str) -> None:
    args = ALL[name].buggy
    assert args is not None
    assert buggy(name).wrong == ()
    assert play(args, ALL[name].asks, policy="random(3)", record=False).wrong == ()


def hand_written() -> dict[str, set[tuple[str, str]]]:
    """Rule and kind of each expectation of the hand-written traces, by scenario."""
    found: dict[str, set[tuple[str, str]]] = {}
    for entry in json.loads((CASES / "expectations.json").read_text()):
        folder, _, name = entry["trace"].partition("/")
        if folder == "scheduler" and "_buggy" in name:
            pairs = {(each["rule"], each["kind"]) for each in entry["expect"]}
            found[name.split("_buggy")[0]] = pairs
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_the_recorded_trace_agrees_with_the_hand_written_one(name: str) -> None:
    wanted = hand_written()[name]
    assert wanted <= {(each.rule, each.kind) for each in findings(buggy(name))}


def test_every_hand_written_pair_and_control_has_a_program() -> None:
    names = {path.name.split(".")[0] for path in (CASES / "scheduler").iterdir()}
    wanted = {name.removesuffix("_buggy").removesuffix("_fixed") for name in names}
    assert wanted <= set(ALL)


# -- what hides what: section 5.5


SWA = ServerArgs(evict_at="prepare", window=3)


def races(args: ServerArgs) -> set[str]:
    found = findings(play(args, TWO))
    return {each.rule for each in found if each.severity == "error"}


@pytest.mark.parametrize(
    ("bug", "args", "hidden"),
    [
        ("B4", SWA.but(fence="none"), False),
        ("B4", SWA.but(fence="coarse-top"), True),
        ("B4", SWA.but(fence="fine-top"), True),
        ("B14", SWA.but(fence="coarse-top", evict_at="process"), False),
        ("B14", SWA.but(fence="fine-top", evict_at="process"), False),
        ("B14", SWA.but(fence="coarse-post", evict_at="process"), True),
        ("B19", ServerArgs(fence="none").but(Bug.IN_PLACE_SEQ_LENS), False),
        ("B19", ServerArgs(fence="fine-top").but(Bug.IN_PLACE_SEQ_LENS), False),
        ("B19", ServerArgs(fence="coarse-top").but(Bug.IN_PLACE_SEQ_LENS), True),
        ("B10b", ServerArgs(sentinels=True, prefill_upload="S").but(Bug.RING_OF_ONE), True),
    ],
)
def test_what_a_fence_hides(bug: str, args: ServerArgs, hidden: bool) -> None:
    assert (races(args) == set()) is hidden, bug


SPEC = ServerArgs(speculative="v2", capture_hidden=True)


@pytest.mark.parametrize(("fence", "hidden"), [("coarse-top", True), ("none", False)])
def test_the_coarse_fence_hides_a_pull_that_does_not_wait(fence: str, hidden: bool) -> None:
    pull = SPEC.but(Bug.PULL_NO_WAIT, fence=fence)
    assert (races(pull) == set()) is hidden
    gate = races(SPEC.but(Bug.PRIVATE_NO_GATE, fence=fence))
    assert "SO101" in gate  # of the private stream it hides nothing


# -- the five pull requests the project started from


def test_25155_the_dead_download_is_reported_at_both_call_sites_with_its_bytes() -> None:
    found = [each for each in findings(buggy("hidden_d2h_redundant")) if each.rule == "SO501"]
    callers = {str(each.details["accesses"][0]["stack"]) for each in found}
    assert len(found) == len(callers) == 2
    assert any("launch_batch_sample_if_needed" in stack for stack in callers)
    assert any("run_batch" in stack for stack in callers)
    one_state = 16 * 8  # 16 numbers of 8 bytes, of the one request that runs in each of them
    assert [each.details["bytes"] for each in found] == [one_state, one_state]
    assert all(each.count > 1 for each in found)


def test_24627_three_uploads_are_reported_with_what_the_host_had_to_drain() -> None:
    played = buggy("logits_index_blocking")
    trace = played.trace
    assert trace is not None
    found = [each for each in findings(played) if each.rule == "SO401"]
    pairs = {tuple(label(trace, op) for op in each.ops) for each in found}
    assert {second for _, second in pairs} == {
        "pruned_lens@F", "sample_indices@F", "input_logprob_indices@F",
    }  # fmt: skip
    assert all(first.endswith("@F") for first, _ in pairs)


def test_26380_the_chain_blocked_host_is_reported_with_its_fence_and_p_silences_it() -> None:
    played = buggy("seqlens_chainblock")
    trace = played.trace
    assert trace is not None
    (found,) = [each for each in findings(played) if each.rule == "SO403"]
    assert label(trace, found.ops[1]) == "new_seq_lens_cpu@S"
    fence = found.details["via"]
    assert trace[fence].word == "stream_wait_event"
    assert trace[fence].stream == "S"
    assert "SO403" not in {each.rule for each in findings(fixed("seqlens_chainblock"))}


def test_26883_the_none_is_caught_with_the_stacks_of_deferral_and_reader() -> None:
    (found,) = [each for each in findings(buggy("pp_profiler_none")) if each.rule == "SO701"]
    defer, read = (str(each["stack"]) for each in found.details["accesses"])
    assert "prepare_for_extend" in defer
    assert "init_new" in read
    assert "profile_and_init_predictor" in read


# -- switches that no pair of section 5 is about


def test_without_any_pin_a_batch_is_freed_under_its_forward() -> None:
    found = findings(play(ServerArgs(fence="none").but(Bug.NO_PIN), TWO))
    assert {each.rule for each in found if each.severity == "error"} >= {"SO201"}


def test_every_bug_of_the_page_is_a_switch_that_some_test_turns_on() -> None:
    here = {Bug.NO_PIN, Bug.PULL_NO_WAIT}
    elsewhere = {Bug.CLOSURE_LEAK}  # memory, not order: test_scheduler_paths.py
    used = {bug for each in ALL.values() if each.buggy for bug in each.buggy.bugs}
    assert set(Bug) == used | here | elsewhere
    numbers = {bug.value.rstrip("abcdefghijklmnopqrstuvwxyz-") for bug in Bug}
    by_era = {"B4", "B14"}  # the fence is missing, or stands too early
    assert numbers | by_era >= {f"B{n}" for n in range(1, 25) if n != 2}


# -- the judge itself can say no


def test_a_finding_that_nobody_expects_and_one_that_is_missing_are_both_told() -> None:
    swa = one("swa_war")
    unexpected = judge(replace(swa, expect=()), buggy("swa_war"), "buggy")
    elsewhere = (Expect("SO102", "read_map@F", "clear_map@S", "req_to_token"),)
    missed = judge(replace(swa, expect=elsewhere), buggy("swa_war"), "buggy")

    assert [each.rule for each in unexpected.extra] == ["SO102"]
    assert not unexpected.good
    assert missed.missing == ("SO102 read_map@F clear_map@S",)
    assert [each.rule for each in missed.extra] == ["SO102"]
    assert not judge(swa, fixed("swa_war"), "buggy").good
    assert not judge(swa, buggy("staging_missing"), "fixed").good
