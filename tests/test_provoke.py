"""Bugs made to show themselves by delays: on the simulated device with a clock, as on a GPU."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("torch")

from streamsan.commands.hall.provoker import Provoker
from streamsan.commands.hall.provoking import (
    Provoked,
    Reference,
    Wrong,
    provoke,
    refer,
    told_wrong,
    witnesses,
)
from streamsan.sim.scheduler.scenarios import Scenario, find_scenario
from streamsan.sim.scheduler.scenarios.delays import Delay, cycles_per_ms
from streamsan.sim.scheduler.scenarios.outcome import Played
from streamsan.sim.scheduler.scenarios.play import play, play_delayed

MS = 1_000_000
"""Cycles: the simulated device's take a nanosecond."""
REPRODUCED = {
    "swa_war": "tokens", "copydone_missing": "tokens", "copystream_no_record_stream": "tokens",
    "seqlens_private_nosync": "values", "staging_missing": "tokens",
}  # fmt: skip

ALSO_WITHOUT = {"copystream_no_record_stream", "seqlens_private_nosync"}
"""Where the device lags behind the host even at the host's pace: the others need the delay."""


def scenario(name: str) -> Scenario:
    found = find_scenario(name)
    assert found is not None
    return found


def delayed(each: Scenario, buggy: bool, *delays: Delay, serial: bool = False) -> Played:
    args = each.buggy if buggy else each.fixed
    assert args is not None
    return play_delayed(args, each.asks, delays, device="simcuda", serial=serial)[0]


@pytest.mark.parametrize("name", REPRODUCED)
def test_a_delay_where_the_finding_says_makes_it_wrong(name: str) -> None:
    each = scenario(name)
    assert each.buggy is not None
    args = each.buggy
    trace = play(args, each.asks).trace
    assert trace is not None

    def run(delays: tuple[Delay, ...], serial: bool) -> tuple[Played, Counter[str]]:
        return play_delayed(args, each.asks, delays, device="simcuda", serial=serial)

    found = provoke(each, trace, run, cycles_per_ms("simcuda"))

    assert found.wrong is not None, found
    assert found.wrong.kind == REPRODUCED[name]
    assert found.undelayed is (name in ALSO_WITHOUT)


def test_where_nothing_overlaps_a_racy_program_is_right() -> None:
    assert delayed(scenario("swa_war"), True, serial=True).wrong == ()


def test_a_fixed_program_cannot_be_delayed_into_a_mistake() -> None:
    each = scenario("swa_war")
    reference = refer(
        lambda delays, serial: play_delayed(
            each.fixed, each.asks, delays, device="simcuda", serial=serial
        )
    )
    labels = reference.labels
    assert reference.unstable == frozenset()
    for label in ("read_map@F", "clear_map@S", "publish@F", "next_token_ids_cpu@F"):
        for nth in range(0, labels[label], 2):
            played = delayed(each, False, Delay(label, nth, 5 * MS))
            assert told_wrong(played, reference) is None


def test_a_program_that_is_wrong_without_overlap_is_not_called_reproduced() -> None:
    each = scenario("swa_war")
    assert each.buggy is not None
    trace = play(each.buggy, each.asks).trace
    assert trace is not None
    broken = Played({}, ("request 0: [] in place of [1]",))

    found = provoke(each, trace, lambda _delays, _serial: (broken, Counter()), 1.0)

    assert found == Provoked(
        None, error="wrong even when nothing overlaps: request 0: [] in place of [1]"
    )


def test_a_program_that_no_delay_changes_is_not_reproduced() -> None:
    each = scenario("swa_war")
    assert each.buggy is not None
    trace = play(each.buggy, each.asks).trace
    assert trace is not None
    same, labels = play_delayed(each.fixed, each.asks, device="simcuda")

    found = provoke(each, trace, lambda _delays, _serial: (same, labels), 1.0)

    assert found.wrong is None
    assert found.tries == labels["read_map@F"]  # each of them once, the witnesses first


def test_a_witness_is_the_first_op_of_a_pair_and_its_number() -> None:
    each = scenario("swa_war")
    assert each.buggy is not None
    trace = play(each.buggy, each.asks).trace
    assert trace is not None

    assert {place.label for place in witnesses(each, trace)} == {"read_map@F"}
    assert [place.nth for place in witnesses(each, trace)] == sorted(
        {place.nth for place in witnesses(each, trace)}
    )


def test_a_failure_of_the_device_is_told_from_a_wrong_value() -> None:
    played = Played({"request 0": [1]}, ())
    right = Reference(played, Counter(), frozenset())

    assert told_wrong(played, right) is None
    assert told_wrong(Played({"request 0": [2]}, ()), right) == Wrong(
        "values", "request 0: [2] in place of [1]"
    )
    lost = told_wrong(Played({}, ("failed: AcceleratorError: CUDA error: an illegal",)), right)
    assert Provoked(lost).broken
    assert not Provoked(told_wrong(Played({}, ("failed: ValueError: x",)), right)).broken


def test_what_differs_without_overlap_is_no_evidence() -> None:
    values = iter([1.0, 2.0])
    reference = refer(
        lambda _delays, _serial: (Played({"sum": next(values), "tokens": [1]}, ()), Counter())
    )

    assert reference.unstable == {"sum"}
    assert told_wrong(Played({"sum": 3.0, "tokens": [1]}, ()), reference) is None
    shown = told_wrong(Played({"sum": 3.0, "tokens": [2]}, ()), reference)
    assert shown == Wrong("values", "tokens: [2] in place of [1]")


def test_another_process_provokes_as_well() -> None:
    each = scenario("copydone_missing")
    assert each.buggy is not None
    trace = play(each.buggy, each.asks).trace
    assert trace is not None

    with Provoker("simcuda") as provoker:
        found = provoker.provoke(each, trace)

    assert found.wrong is not None
    assert found.delay == "next_token_ids_cpu@F, number 0"
