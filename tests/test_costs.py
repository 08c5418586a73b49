"""Costs have prices: bytes, times, how often, and what a replay without the cost predicts.

The numbers are worked out by hand beside each case. All times are ns.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import expectations
import pytest

from streamsan.checkers import Finding, Settings, check
from streamsan.checkers.facts.blocking import Blocking
from streamsan.checkers.facts.lanes import Lanes
from streamsan.checkers.reports.costs import cost_lines, duration
from streamsan.cli import main
from streamsan.commands.hall import pricing
from streamsan.commands.hall.pricing import priced
from streamsan.sim.machine.what_if import WhatIf
from streamsan.traces import load, save
from streamsan.traces.model import NONE
from streamsan.traces.order import HappensBefore
from streamsan.traces.text import parse

DATA = Path(__file__).parent / "data"
SLACK = 10_000
"""Ns by which the clocks of a device and its host may differ."""


def findings(text: str, rule: str, **settings: Any) -> list[Finding]:
    trace = parse(text)
    report = check(trace, Settings(select=(rule,), **settings))
    return list(priced(trace, report.findings))


def one(text: str, rule: str) -> Finding:
    (found,) = findings(text, rule)
    return found


def gain(finding: Finding) -> int:
    found: int = finding.details["predicted"]["gain_ns"]
    return found


# --- SO401: the wait only moves

UPLOAD = """
    malloc p pageable 64
    malloc a device 64
    s: launch forward w=x t=0 t_end=10 begin=20 end=1020
    s: memcpy p -> a H2D sync t=10 t_end=1070 begin=1030 end=1060
    s: launch use r=a,x t=1070 t_end=1080 begin=1090 end=1190
"""


def test_a_blocking_upload() -> None:
    # The call waits from 10 until the copy is over at 1060, and is back 10 later: 1060 in all.
    # Asynchronous, it is back at 20, use is called then, and begins once the copy is over at 1060,
    # 10 later (as the copy had begun 10 after forward): 1070 to 1170, where it was 1090 to 1190.
    found = one(UPLOAD, "SO401")

    assert found.ops == (2, 3)
    assert found.details["bytes"] == 64
    assert found.details["link_ns"] == 30
    assert found.details["wait_ns"] == 1060
    assert found.details["drained"] == 1
    assert gain(found) == 20
    assert found.details["predicted"]["host_wait_gain_ns"] == 1050
    assert found.details["predicted"]["run_ns"] == 1190
    assert "next_payer" not in found.details


def test_where_the_wait_of_an_upload_only_moves_the_next_payer_is_named() -> None:
    # A synchronise at 1080 waits for use: 1190, and is back at 1200. With the upload asynchronous
    # it is called at 30 and waits until 1170: 1140 where it was 110. The upload no longer waits
    # 1050, so 1030 of that is only paid elsewhere.
    found = one(UPLOAD + "stream_sync s t=1080 t_end=1200", "SO401")

    assert found.details["next_payer"] == found.details["predicted"]["next_payer"] == 5
    assert found.details["predicted"]["payer_ns"] == found.details["moves_ns"] == 1030
    assert found.details["predicted"]["host_wait_gain_ns"] == 20
    assert gain(found) == 20


def test_a_payer_that_finds_the_work_over_is_none() -> None:
    # By order alone the synchronise would wait for the same work; but the host is busy until 6080,
    # and everything is over long before.
    found = one(UPLOAD + "host_write q t=1080 t_end=6080; stream_sync s t=6080 t_end=6090", "SO401")

    assert "next_payer" not in found.details
    assert gain(found) == 1050


def test_by_order_alone_a_download_to_pageable_memory_may_pay_next() -> None:
    text = """
        malloc p pageable 64; malloc q pageable 64; malloc a device 64
        s: launch forward w=x
        s: memcpy p -> a H2D sync
        s: memcpy x -> q D2H
    """

    assert one(text, "SO401").details["next_payer"] == 5


def test_two_adjacent_uploads_must_both_change() -> None:
    # Uploads behind one forward pass (sglang#35106). The first is back at 1070 and the second,
    # called then, waits only for itself: it begins 20 after its call and is over at 1120. If only
    # the first changes, the second waits from 20 for the forward pass and both copies: 1030 to
    # 1060, 1070 to 1100, and is back at 1110, where it was back at 1130: 20 sooner.
    found = findings(
        """
        malloc p pageable 64; malloc q pageable 64; malloc a device 64; malloc b device 64
        s: launch forward w=x t=0 t_end=10 begin=20 end=1020
        s: memcpy p -> a H2D sync t=10 t_end=1070 begin=1030 end=1060
        s: memcpy q -> b H2D sync t=1070 t_end=1130 begin=1090 end=1120
    """,
        "SO401",
    )

    (first,) = found  # nothing is in flight when the second is called
    assert first.ops == (4, 5)
    assert first.details["next_payer"] == 6
    assert first.details["predicted"]["payer_ns"] == (1100 - 20) - (1120 - 1070)
    assert gain(first) == 20


# --- SO402

STEP = """
    region_begin name="step {n}" t={a} t_end={a}
    s: launch forward w=x t={a} t_end={b} begin={c} end={d} site=0
    s: memcpy x -> p D2H sync via=item t={b} t_end={e} begin={f} end={g} site=1
    host_write q t={e} t_end={h} site=2
    region_end name="step {n}" t={h} t_end={h}
"""


def step(number: int, start: int) -> str:
    return STEP.format(
        n=number, a=start, b=start + 10, c=start + 20, d=start + 1020, f=start + 1030,
        g=start + 1050, e=start + 1060, h=start + 3060,
    )  # fmt: skip


LOOP = f"""#! sites [["a.py:1 forward"], ["a.py:2 item"], ["a.py:3 write"]]
    malloc p pageable 64
    {step(1, 0)}{step(2, 3060)}{step(3, 6120)}"""


def test_a_hidden_sync_in_each_of_three_steps() -> None:
    # Each step's item() takes 1050 of the host's time; without it the host's own 2000 begin right
    # after the launch. All three are one cause: 3 * 1050, of 9180. The wait until the copy is over
    # takes 1040 of each. The second step's kernel, called 1050 sooner, still finds its stream free.
    found = one(LOOP, "SO402")

    assert found.count == 3
    assert found.details["bytes"] == 64
    assert found.details["total"] == {
        "bytes": 192, "link_ns": 60, "wait_ns": 3150, "avoidable_ns": 3150,
    }  # fmt: skip
    assert found.details["iteration"] == "step"
    assert found.details["iterations"] == 3
    assert found.details["per_iteration"] == 1
    assert gain(found) == 3150
    assert found.details["predicted"]["run_ns"] == 9180
    assert found.details["predicted"]["host_wait_gain_ns"] == 3120


def test_each_listed_by_itself_has_its_own_price() -> None:
    found = findings(LOOP, "SO402", every=True)

    assert [gain(each) for each in found] == [1050, 1050, 1050]
    assert all("total" not in each.details for each in found)


def test_a_region_that_is_entered_once_is_no_iteration() -> None:
    # Two rounds of step and one of another region, in which the third repeat stands.
    text = LOOP.replace('"step 3"', '"other"')

    found = findings(text, "SO402", every=True)

    assert [each.details.get("iterations") for each in found] == [2, 2, None]
    assert one(text, "SO402").details["per_iteration"] == 1.5


# --- SO403


CHAIN = """
    malloc h pinned 64
    malloc n device 64
    prep: launch lengths w=n t=0 t_end=0 begin=100 end=500
    fwd: launch forward r=x w=x t=0 t_end=0 begin=100 end=9000
    fwd: record done t=0 t_end=0
    prep: wait done t=0 t_end=0
    prep: memcpy n -> h D2H sync via=cpu t=0 t_end=9130 begin=9010 end=9110
    host_read h t=9130 t_end=9140
    prep: launch next r=x w=n t=9140 t_end=9150 begin=9240 end=9440
"""


def test_a_chain_shows_the_fence_through_which_the_host_inherited_the_wait() -> None:
    # Alone, the download begins 10 after lengths (500) and takes 100; the host, back 20 later, has
    # waited until 610 where it waited until 9110: 8500 less. next waits for the forward pass still:
    # it runs from 9010 to 9210, where it ran from 9240 to 9440: 230 sooner.
    found = one(CHAIN, "SO403")

    assert found.ops == (3, 6)
    assert found.details["via"] == 5
    assert "prep has inherited it through op 5 (stream_wait_event)" in found.message
    assert found.details["producers"] == [2]
    assert found.details["wait_ns"] == 9130
    assert found.details["avoidable_ns"] == 9130 - 500
    assert found.details["predicted"]["host_wait_gain_ns"] == 8500
    assert gain(found) == 230


# --- SO404


WIDE = """
    s1: launch produce w=a t=0 t_end=0 begin=50 end=1000
    s1: launch other w=b t=0 t_end=0 begin=1100 end=5000
    s1: record e t=0 t_end=0
    s2: wait e t=0 t_end=0
    s2: launch use r=a t=0 t_end=0 begin=5100 end=5300
"""


def test_a_stream_wait_that_is_too_wide_names_the_narrowest_record_point() -> None:
    # use needs produce (over at 1000) and not other (5000): it could begin 4000 sooner than it did,
    # at 1100. Then the run ends with other, at 5000, and not with use, at 5300.
    found = one(WIDE, "SO404")

    assert found.ops == (1, 3)
    assert found.details["record_after"] == [{"op": 0, "stream": "s1"}]
    assert found.fix == {
        "record": {"after": 0, "stream": "s1"},
        "wait": {"before": 3, "stream": "s2"},
    }
    assert found.details["avoidable_ns"] == 5100 - 1000
    assert gain(found) == 300


def test_a_device_synchronise_where_an_event_would_do() -> None:
    # The host waits from 0 to 5000 and is back 10 later; then use runs from 5030 to 5130. It needs
    # produce alone, so u may wait for that itself: use is called at 10, when the host is back (10
    # of the call remain), and begins at 1000, as soon as produce is over (u never showed a gap of
    # its own): the run ends with other at 5000, 130 sooner, and the host waits 5000 less.
    found = one(
        """
        s: launch produce w=a t=0 t_end=0 begin=20 end=1000
        v: launch other w=b t=0 t_end=0 begin=20 end=5000
        device_sync t=0 t_end=5010
        u: launch use r=a t=5010 t_end=5010 begin=5030 end=5130
        v: launch again w=b t=5010 t_end=5010 begin=5030 end=5040
    """,
        "SO404",
    )

    assert found.ops == (1, 2)
    assert found.details["wait_ns"] == 5010
    assert found.details["avoidable_ns"] == 4010
    assert found.details["record_after"] == [{"op": 0, "stream": "s"}]
    assert found.details["predicted"]["host_wait_gain_ns"] == 5000


def test_repeats_without_bytes_and_times_have_no_sums() -> None:
    sites = '#! sites [["a.py:1 f"], ["a.py:2 g"], ["a.py:3 h"], ["a.py:4 i"], ["a.py:5 j"]]'
    lines = (
        "s1: launch produce w=a site=0; s1: launch other w=b site=1; s1: record e site=2; "
        "s2: wait e site=3; s2: launch use r=a w=c site=4; stream_sync s2"
    )

    found = one(f"{sites}\n{lines}\n{lines}", "SO404")

    assert found.count == 2
    assert "total" not in found.details


def test_a_device_wide_wait_of_a_profile_has_the_time_of_its_call() -> None:
    trace = load(DATA / "kineto/a100_cuda_sync_alexnet.json.gz")

    found = check(trace, Settings(select=("SO404",), unresolved_waits="ignore"))

    assert [f.details["wait_ns"] for f in found] == [15_000, 884_000]


# --- SO405


def test_a_download_to_pageable_memory_whose_reader_pays_next() -> None:
    # The call is back at 1060 though it is asynchronous; the host reads at once. Pinned, the call
    # is back at 20, and the read waits until the copy is over at 1050: nothing is gained but the
    # 10 that the call took after it.
    text = """
        malloc p pageable 64
        s: launch forward w=x t=0 t_end=10 begin=20 end=1020
        s: memcpy x -> p D2H t=10 t_end=1060 begin=1030 end=1050
        {between}
        host_read p t={read} t_end={read}
    """
    at_once = one(text.format(between="", read=1060), "SO405")
    # With 5000 of the host's own in between, the read finds the copy over: all of 1040 is gained.
    later = one(text.format(between="host_write q t=1060 t_end=6060", read=6060), "SO405")

    assert gain(at_once) == 10
    assert at_once.details["wait_ns"] == 1050
    assert gain(later) == 1040


@pytest.mark.parametrize(
    ("user", "gained"),
    [
        ("host_read p t=1060 t_end=1060", 10),
        ("host_write p t=1060 t_end=1060", 10),
        # A kernel of the same stream comes after the copy by itself; the host is back at 20.
        ("s: launch look r=p w=y t=1060 t_end=1060 begin=1080 end=1090", 1040),
    ],
)
def test_only_the_host_has_to_wait_for_what_it_downloads(user: str, gained: int) -> None:
    found = one(
        f"""
        malloc p pageable 64
        s: launch forward w=x t=0 t_end=10 begin=20 end=1020
        s: memcpy x -> p D2H t=10 t_end=1060 begin=1030 end=1050
        {user}
        host_write q t=1060 t_end=5060
    """,
        "SO405",
    )

    assert gain(found) == gained


def test_an_upload_from_pageable_memory_is_told_and_predicts_nothing() -> None:
    found = one("malloc p pageable 64; s: memcpy p -> a H2D t=0 t_end=5 begin=10 end=20", "SO405")

    assert (found.severity, found.details["bytes"], found.details["link_ns"]) == ("info", 64, 10)
    assert "predicted" not in found.details


# --- SO501


DEAD = """
    malloc h pinned 16384
    s: launch step w=hidden t=0 t_end=0 begin=20 end=1000
    s: memcpy hidden -> h D2H t=0 t_end=0 begin=1000 end=5000
    s: record e t=0 t_end=0
    s: launch step w=hidden t=0 t_end=0 begin=5000 end=6000
    sync e t=0 t_end=5010
    {reader}
    host_write z t=5010 t_end=5010
"""


def test_a_dead_copy_costs_its_time_on_the_link() -> None:
    # 16384 bytes in a run of 6000 ns; without the copy the second step begins 4000 sooner.
    found = one(DEAD.format(reader=""), "SO501")

    assert found.ops == (2,)
    assert found.details["dead_bytes"] == found.details["bytes"] == 16384
    assert found.details["link_ns"] == 4000
    assert found.details["bytes_per_second"] == 16384 * 10**9 // 6000
    assert gain(found) == 4000
    assert found.fix == {"remove": 2}


def test_of_a_partly_read_copy_the_dead_part_is_told_and_priced() -> None:
    # The first sixteenth is read: the copy could take 250 where it takes 4000.
    found = one(DEAD.format(reader="host_read h[0:1024] t=5010 t_end=5010"), "SO501")

    assert found.details["dead"] == [[1024, 15360]]
    assert found.details["dead_bytes"] == 15360
    assert gain(found) == 3750
    assert found.fix is None


@pytest.mark.parametrize(
    "reader",
    [
        "host_read h",
        "s: memcpy h -> other H2D",
        "s: memcpy h -> elsewhere H2H",
        "s: launch gather r=h w=o",
        "s: graph_launch graph=g r=h w=o",
        "host_read h agent=nic",
        "s: host_func r=h",
        "host_task_submit task=t r=h; host_task_done t",
    ],
)
def test_a_copy_is_read_by_whatever_takes_its_bytes(reader: str) -> None:
    assert findings(DEAD.format(reader=reader), "SO501") == []


@pytest.mark.parametrize(
    "other",
    ["host_read z", "s: graph_launch graph=g r=hidden w=o", "sync e", "s: memcpy z -> other H2D",
     "host_write h"],
)  # fmt: skip
def test_a_copy_is_not_read_by_what_takes_other_bytes(other: str) -> None:
    (found,) = findings(DEAD.format(reader=other), "SO501")

    assert found.details["dead_bytes"] == 16384


# --- SO502, SO503, SO504


def test_a_redundant_upload_is_found_by_digest() -> None:
    # Other sources, the same digest. Without the second copy use begins 500 sooner.
    text = """
        malloc h pinned 4096; malloc g pinned 4096; malloc a device 4096
        s: memcpy h -> a H2D digest=d1 t=0 t_end=0 begin=10 end=510
        s: memcpy g -> a H2D digest={digest} t=0 t_end=0 begin=510 end=1010
        s: launch use r=a t=0 t_end=0 begin=1010 end=2010
    """
    found = one(text.format(digest="d1"), "SO502")

    assert found.details["shown_by"] == "digest"
    assert (found.details["bytes"], found.details["link_ns"]) == (4096, 500)
    assert gain(found) == 500
    assert findings(text.format(digest="d2"), "SO502") == []


ROUND = """
    malloc h pinned 4096; malloc a device 4096; malloc b device 4096
    s: launch make w=a t=0 t_end=0 begin=10 end=100
    s: memcpy a -> h D2H t=0 t_end=0 begin=100 end=400
    s: memcpy h -> b H2D t=0 t_end=0 begin=400 end=900
    {reader}
    s: launch use r=b t=0 t_end=0 begin=900 end=1000
"""


def test_a_round_trip_spares_both_ways_unless_the_host_reads_the_bytes() -> None:
    alone = one(ROUND.format(reader=""), "SO503")
    read = one(ROUND.format(reader="stream_sync s t=0 t_end=900; host_read h"), "SO503")

    assert gain(alone) == 300 + 500
    # The host reads: the way down stays. The wait that the upload took part in is over at 400.
    assert gain(read) == 500


def test_a_write_back_of_what_was_not_modified() -> None:
    found = one(
        """
        malloc h pinned 4096; malloc a device 4096
        s: memcpy h -> a H2D t=0 t_end=0 begin=10 end=510
        s: launch use r=a w=o t=0 t_end=0 begin=510 end=600
        s: memcpy a -> h D2H t=0 t_end=0 begin=600 end=1100
        s: launch last w=o t=0 t_end=0 begin=1100 end=1200
    """,
        "SO504",
    )

    assert (found.details["bytes"], found.details["link_ns"], gain(found)) == (4096, 500, 500)


def test_a_round_trip_keeps_the_way_down_for_a_read_before_the_way_up() -> None:
    text = """
        malloc h pinned 4096; malloc a device 4096; malloc b device 4096
        s: launch make w=a t=0 t_end=0 begin=10 end=100
        s: memcpy a -> h D2H t=0 t_end=0 begin=100 end=400
        v: launch look r=h w=c t=0 t_end=0 begin=10 end=20
        s: memcpy h -> b H2D t=0 t_end=0 begin=400 end=900
        s: launch use r=b t=0 t_end=0 begin=900 end=1000
    """

    assert gain(one(text, "SO503")) == 500


# --- without times, and without a machine


def test_without_times_a_finding_carries_its_bytes_and_predicts_nothing() -> None:
    text = "\n".join(" ".join(w for w in line.split(" ") if not w.startswith(("t=", "t_end=",
                     "begin=", "end="))) for line in UPLOAD.splitlines())  # fmt: skip
    found = one(text, "SO401")

    assert found.details["bytes"] == 64
    assert {"predicted", "what_if", "wait_ns", "link_ns", "not_predicted"} & set(
        found.details
    ) == set()


def test_without_the_machine_a_finding_carries_bytes_and_times() -> None:
    (found,) = check(parse(UPLOAD), Settings(select=("SO401",)))

    assert (found.details["bytes"], found.details["wait_ns"]) == (64, 1060)
    assert "predicted" not in found.details
    json.dumps(found.to_json())


def printed(paths: list[str], capsys: pytest.CaptureFixture[str], *options: str) -> list[Any]:
    assert main(["lint", "--isolated", "--format", "json", *options, *paths]) == 0
    found: list[Any] = json.loads(capsys.readouterr().out)["traces"]
    return found


def test_lint_prices_what_it_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(tmp_path / f"{name}.trace.jsonl") for name in ("a", "b")]
    for path in paths:
        save(parse(UPLOAD), path)

    here = printed(paths, capsys, "--select", "SO401")
    elsewhere = printed(paths, capsys, "--select", "SO401", "--jobs", "2")
    confirmed = printed(paths, capsys, "--select", "SO401", "--confirm")

    assert [t["findings"][0]["details"]["predicted"]["gain_ns"] for t in here] == [20, 20]
    assert here == elsewhere == confirmed


def test_of_many_findings_the_dearest_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "WORK", 0)
    monkeypatch.setattr(pricing, "FEWEST", 1)
    late = """
        s: launch more w=y t=1080 t_end=1090 begin=1190 end=9290
        s: memcpy p -> b H2D sync t=1090 t_end=9400 begin=9300 end=9390
    """

    first, second = findings(UPLOAD + late, "SO401")

    assert "predicted" in second.details  # it waits 8310, the other 1060
    assert "predicted" not in first.details
    assert first.details["not_predicted"] == "only the 1 dearest findings of a trace are"
    assert "what_if" not in first.details


def test_the_switches_of_a_check_hold_in_the_replay() -> None:
    # With pageable downloads taken as asynchronous the host does not wait: nothing to gain from
    # its wait; the call's 1050 are then its own, and stay.
    text = """
        malloc p pageable 64
        s: launch forward w=x t=0 t_end=10 begin=20 end=1020
        s: memcpy x -> p D2H t=10 t_end=1060 begin=1030 end=1050
        host_write q t=1060 t_end=5000
    """
    trace = parse(text)
    found = check(trace, Settings(select=("SO405",))).findings

    (waits,) = priced(trace, found)
    (free,) = priced(trace, found, (("pageable_d2h_async_blocks", False),))

    assert (gain(waits), gain(free)) == (1040, 0)


# --- words


def test_the_words_of_a_price() -> None:
    found = one(LOOP, "SO402")

    assert dict(cost_lines(found)) == {
        "cost": "64 bytes, 3 times, 1 per step, 192 in all; 60 ns on the link; "
        "the host waits 3.15 us",
        "without it": "the run would be 3.15 us shorter, of 9.18 us (34.3%), and the host would "
        "wait 3.12 us less",
    }
    moved = dict(cost_lines(one(UPLOAD + "stream_sync s t=1080 t_end=1200", "SO401")))
    assert moved["without it"].endswith("; 1.03 us of the wait moves to op 5 (stream_synchronize)")
    (plain,) = check(parse(UPLOAD + "stream_sync s"), Settings(select=("SO401",)))
    assert dict(cost_lines(plain))["cost"].endswith("; op 5 waits next for the same work")
    (read,) = findings(DEAD.format(reader="host_read h[0:1024]"), "SO501")
    assert "16384 bytes, 15360 of them unread" in dict(cost_lines(read))["cost"]


def test_a_hazard_has_no_cost() -> None:
    hazard = Finding("SO112", "n", "error", "certain", "WAR", (1, 2), "m", "h", count=3)

    assert list(cost_lines(hazard)) == []


def test_a_cost_rarer_than_its_iteration_and_an_unsure_prediction() -> None:
    found = one(LOOP, "SO402")
    found.details.update(per_iteration=0.25, iterations=12)
    found.details["predicted"]["unexplained"] = 0.09

    words = dict(cost_lines(found))

    assert words["cost"].startswith("64 bytes, 3 in 12 rounds of step, 192 in all;")
    assert words["without it"].endswith(
        " (unsure: 9% of the recorded time hangs on what the trace does not hold)"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0 ns"), (999, "999 ns"), (1000, "1 us"), (1_234_567, "1.23 ms"), (5 * 10**9, "5 s")],
)
def test_durations_in_words(value: int, words: str) -> None:
    assert duration(value) == words


# --- the collected cases


def entries() -> list[dict[str, Any]]:
    return [
        entry
        for entry in expectations.cases()
        if entry["trace"].startswith(("blocking/", "redundancy/", "scheduler/"))
    ]


def is_cost(wanted: dict[str, Any]) -> bool:
    return str(wanted["rule"]).startswith(("SO4", "SO5"))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["trace"])
def test_every_cost_that_a_case_asks_for_is_found_and_no_other(entry: dict[str, Any]) -> None:
    trace = load(expectations.CASES / entry["trace"])
    report = check(trace, Settings())
    kinds = entry.get("kinds_also_ok", ())
    asked = [wanted for wanted in entry["expect"] if is_cost(wanted)]

    for wanted in asked:
        ways = expectations.ways(wanted)
        assert any(expectations.matches(f, way, kinds) for way in ways for f in report), wanted
    if entry["trace"].startswith(("blocking/", "redundancy/")):
        told = [f for f in report if f.rule.startswith(("SO4", "SO5")) and f.severity == "warning"]
        fine = [way for wanted in entry["expect"] for way in expectations.ways(wanted)]
        fine += entry.get("allow", ())
        assert all(any(expectations.matches(f, way, kinds) for way in fine) for f in told)
    assert len(priced(trace, report.findings)) == len(report)


def test_the_cases_ask_for_costs() -> None:
    assert sum(is_cost(wanted) for entry in entries() for wanted in entry["expect"]) > 10


# --- which copies of real profiles blocked (trace-sources.md, section 5: H, I and S)

BLOCKED = {
    "kineto/a100_cuda_sync_alexnet.json.gz": {"upload, pageable": (0, 16)},
    "kineto/a100_cuda_sync_event_sync.json.gz": {"download, pageable": (1, 1)},
    "kineto/mi250_rocm62_minitoy.json.gz": {"upload, blocking": (2, 2)},
    "kineto/mi300_sglang_hipgraph_decode.json.gz": {
        "download, blocking": (1, 1),
        "download, pinned": (0, 1),
    },
    "et/megatron_tp8_rank0_kineto.json.gz": {
        "download, pageable": (1, 1),
        "upload, pinned": (0, 2),
    },
    "et/megatron_tp8_rank6_kineto.json.gz": {
        "download, pageable": (1, 1),
        "upload, pinned": (0, 2),
    },
    "nsys/h100_2gpu_nccl_nsys2026.2.1_schema3.25.0.sqlite.gz": {"upload, pageable": (0, 33)},
    "nsys/rtx3080_tiny_nsys2026.1.1_schema3.24.14.sqlite.gz": {"download, pinned": (0, 1)},
}
"""By kind of copy: how many calls returned once the copy was over, of how many."""


@pytest.mark.parametrize("name", BLOCKED)
def test_the_copies_that_blocked_are_those_of_which_the_rules_say_so(name: str) -> None:
    trace = load(DATA / name)
    order = HappensBefore(trace)
    seen: dict[str, tuple[int, int]] = {}
    for copy in Blocking(Lanes(order)).copies:
        end = int(trace.end[copy.op])
        if NONE in (int(trace.t_end[copy.op]), end):
            continue
        returned = int(trace.t_end[copy.op]) >= end
        blocking = trace[copy.op].bit("async_") is False
        side = "blocking" if blocking else "pageable" if copy.pageable else "pinned"
        key = f"{'upload' if copy.kind == 'H2D' else 'download'}, {side}"
        blocked, count = seen.get(key, (0, 0))
        seen[key] = (blocked + returned, count + 1)
        assert (blocking or (copy.kind == "D2H" and copy.staged)) == returned, copy
        # Clocks of host and device differ: one device's synchronises are 7 us early in this file.
        assert copy.pair is None or int(trace.t_end[copy.pair]) >= end - SLACK, copy

    assert seen == BLOCKED[name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kineto/a100_cuda_sync_alexnet.json.gz", {}),  # nothing is in flight at any of its copies
        ("kineto/a100_cuda_sync_event_sync.json.gz", {("SO402", "warning"): [1]}),
        ("kineto/mi250_rocm62_minitoy.json.gz", {("SO401", "warning"): [2560]}),
        ("kineto/mi300_sglang_hipgraph_decode.json.gz", {("SO402", "warning"): [256]}),
        ("et/megatron_tp8_rank0_kineto.json.gz", {("SO405", "warning"): [1]}),
        ("nsys/rtx3080_tiny_nsys2026.1.1_schema3.24.14.sqlite.gz", {("SO402", "warning"): [4]}),
        ("nsys/h100_2gpu_nccl_nsys2026.2.1_schema3.25.0.sqlite.gz",
         {("SO401", "warning"): [8] * 33, ("SO405", "info"): [8]}),
    ],
)  # fmt: skip
def test_copies_of_profiles_are_told_with_the_bytes_of_the_profile(
    name: str, told: dict[tuple[str, str], list[int]]
) -> None:
    trace = load(DATA / name)
    settings = Settings(select=("SO401", "SO402", "SO405"), every=True, unresolved_waits="ignore")
    found: dict[tuple[str, str], list[int]] = {}
    for finding in check(trace, settings):
        found.setdefault((finding.rule, finding.severity), []).append(finding.details["bytes"])
        assert trace.extras[finding.ops[-1]]["bytes"] == finding.details["bytes"]

    assert found == told


# --- the mini-scheduler: what is predicted is what the fixed program takes


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("hidden_d2h_redundant", "SO501"),  # B15
        ("logits_index_blocking", "SO401"),  # B16
        ("seqlens_chainblock", "SO403"),  # B5
        ("boolmask_penalizer", "SO402"),  # B20
    ],
)
def test_the_predicted_saving_is_that_of_the_fixed_scheduler(name: str, rule: str) -> None:
    pytest.importorskip("torch")
    from streamsan.commands.sim import find, play_here

    scenario = find(name)
    buggy, fixed = (play_here(scenario, buggy=each).trace for each in (True, False))
    assert buggy is not None
    assert fixed is not None
    report = check(buggy, Settings(select=(rule,)))

    predicted = sum(gain(finding) for finding in priced(buggy, report.findings))

    saved = WhatIf(buggy).replay.recorded - WhatIf(fixed).replay.recorded
    assert saved > 0
    assert abs(predicted - saved) <= 0.05 * saved
    assert rule not in {finding.rule for finding in check(fixed)}
