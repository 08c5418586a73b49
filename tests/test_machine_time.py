"""Times worked by hand: a call takes 4 us, a kernel 10 us, a copy 2 us and 50 bytes a ns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streamsan import cli
from streamsan.sim.machine.timeline_modelled import Costs
from streamsan.sim.machine.what_if import WhatIf
from streamsan.sim.machine.what_if_changes import Change
from streamsan.sim.machine.what_if_results import Prediction
from streamsan.sim.machine.what_if_run import Blocked, Run
from streamsan.traces import save
from streamsan.traces.text import parse

Ran = Callable[..., tuple[int, str, str]]
BYTES = 1_000_000
"""20 us over the link, and 2 us before."""
UPLOAD = f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d"


def time_of(text: str, costs: Costs | None = None) -> Run:
    return WhatIf(parse(text), costs=costs or Costs()).run


def predict(text: str, change: Change) -> Prediction:
    return WhatIf(parse(text), costs=Costs()).predict(change)


def test_kernels_of_one_stream_follow_each_other() -> None:
    found = time_of("s: launch w=a; s: launch w=a")

    # called at 4 and 8 us; the second begins when the first ends
    assert found.spans == {0: (4_000, 14_000), 1: (14_000, 24_000)}
    assert (found.makespan, found.streams, found.blocked) == (24_000, {"s": 20_000}, ())


def test_there_is_one_compute_queue_and_a_copy_engine_each_way() -> None:
    kernels = time_of("s: launch w=a; t: launch w=b")
    copies = time_of(
        f"malloc h {BYTES} pinned; malloc g {BYTES} pinned; malloc d {BYTES}; malloc e {BYTES}\n"
        "s: memcpy h -> d; t: memcpy e -> g"
    )  # fmt: skip

    assert kernels.spans[1] == (14_000, 24_000)
    assert copies.spans == {4: (20_000, 42_000), 5: (24_000, 46_000)}
    assert copies.engines == {"compute": 0, "copy in": 22_000, "copy out": 22_000}


def test_measured_times_go_before_the_model() -> None:
    found = time_of("s: launch w=a begin=100 end=1600; s: launch w=a")

    assert found.spans == {0: (4_000, 5_500), 1: (8_000, 18_000)}
    # of work, that is: a call of the host takes what the model says
    assert time_of("malloc d 8 begin=0 end=90000; s: launch w=d").spans == {1: (8_000, 18_000)}


def test_the_host_is_blocked_on_account_of_what_it_waits_for() -> None:
    found = time_of(f"{UPLOAD}; s: launch r=d; stream_sync s; t: launch w=q")

    # calls at 4, 8 (mallocs), 12, 16, 20 us; the copy runs 12 to 34, the kernel 34 to 44
    assert found.spans[3] == (34_000, 44_000)
    assert found.blocked == (Blocked(4, "host:main", 24_000, 3),)
    assert found.spans[5] == (48_000, 58_000)


def test_what_waits_for_an_event_begins_after_it() -> None:
    found = time_of(f"{UPLOAD}; s: record e; t: wait e; t: launch r=d")

    assert found.spans[5] == (34_000, 44_000)


def test_a_trace_without_ops_takes_no_time() -> None:
    found = time_of("")

    assert (found.makespan, found.stuck, found.blocked, found.streams) == (0, False, (), {})


def test_a_hang_is_told() -> None:
    assert time_of("s: wait_value x 1; s: launch w=a").stuck
    assert not time_of("s: wait_value x 1; store x 1; s: launch w=a").stuck


def test_a_value_is_waited_for_until_the_first_write_that_meets_it() -> None:
    text = "s: wait_value x 1; s: launch w=a; t@1: launch w=b; t@1: write_value x 2; store x {}"

    # t's kernel runs 12 to 22 us, and then its stream writes 2; the store's call is over at 20
    assert time_of(text.format(1)).spans == {1: (20_000, 30_000), 2: (12_000, 22_000)}
    assert time_of(text.format(0)).spans == {1: (22_000, 32_000), 2: (12_000, 22_000)}


def test_a_wait_that_is_met_early_keeps_the_order_of_its_stream() -> None:
    # stored thrice by 24 us; the copy, called at 12, is over at 102
    found = time_of(
        "malloc h 8 pinned; malloc d 8; s: memcpy h -> d begin=0 end=90000\n"
        "store x 1; store x 1; store x 1; s: wait_value x 1; s: launch w=b"
    )

    assert found.spans[7] == (102_000, 112_000)


def test_of_two_that_wait_for_an_engine_the_one_that_waited_longer_is_first() -> None:
    # t's kernel is ready at 34 us, when the copy is over; u's, called at 4, 8 and 12, run from 4,
    # 14 and 34: v's, called at 16, has waited longer than u's third, which was ready at 24
    found = time_of(
        f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d; s: record e; t: wait e\n"
        "t: launch w=b; T/u: launch w=c; T/u: launch w=d; T/u: launch w=f; T/v: launch w=g"
    )

    assert found.spans[2] == (12_000, 34_000)
    assert [found.spans[op][0] for op in range(5, 10)] == [44_000, 4_000, 14_000, 34_000, 24_000]


def test_each_device_has_engines_of_its_own() -> None:
    # called at 4 and 8 us; the kernels of two devices do not wait for each other
    found = time_of("s: launch w=a; t@1: launch w=b")

    assert found.spans == {0: (4_000, 14_000), 1: (8_000, 18_000)}
    assert found.engines == {"compute of device 0": 10_000, "compute of device 1": 10_000}


def test_a_collective_takes_its_time_once_and_begins_with_the_last_rank() -> None:
    # T is there at 4 us; main's kernel is over at 14, and both ranks begin then, on two devices
    found = time_of("s: launch w=a; s: collective w rank=0; T/x@1: collective w rank=1")

    assert found.spans == {0: (4_000, 14_000), 1: (14_000, 24_000), 2: (14_000, 24_000)}


def test_a_launch_of_a_graph_takes_as_long_as_its_kernels_or_as_measured() -> None:
    # a capture and a launch: called at 8 us; two kernels take 20
    node = {"op": "launch", "stream": "s"}
    nodes = json.dumps([node, node]).replace(" ", "")
    text = f"s: graph_capture g nodes={nodes}; s: graph_launch g"

    assert time_of(text).spans == {1: (8_000, 28_000)}
    assert time_of(f"{text} begin=100 end=1600").spans == {1: (8_000, 9_500)}


def test_what_a_thread_calls_begins_with_its_start() -> None:
    # the start's call is over at 8 us, T's own at 12
    found = time_of("malloc d 8; thread_start target=T; T/s: launch w=d")

    assert found.spans[2] == (12_000, 22_000)


def test_the_last_call_is_part_of_the_run() -> None:
    # the kernel runs 4 to 14 us; five calls take 20
    assert time_of(f"s: launch w=a{'; s: record e' * 4}").makespan == 20_000


def test_a_copy_within_host_memory_takes_the_host_s_time() -> None:
    # two mallocs until 8, the call until 12, 2 and 20 us of copying; the kernel is called at 38
    found = time_of(
        f"malloc h {BYTES} pinned; malloc g {BYTES} pinned; s: memcpy h -> g sync; s: launch w=q"
    )

    assert found.spans == {3: (38_000, 48_000)}
    assert found.streams == {"s": 10_000}


def test_another_model() -> None:
    found = time_of("s: launch w=a", Costs(kernel=70, launch=5))

    assert found.spans == {0: (5, 75)}


def test_what_a_blocking_copy_costs() -> None:
    text = f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d sync; t: launch w=q"
    saving = predict(text, Change(asynchronous=(2,)))

    # blocking: the copy 12 to 34, the next call at 38, its kernel to 48; else the copy is the last
    assert (saving.before.makespan, saving.after.makespan, saving.gain) == (48_000, 34_000, 14_000)


def test_what_an_op_an_edge_and_a_stream_cost() -> None:
    text = f"{UPLOAD}; t: launch w=q"
    without = predict(text, Change(remove=(2,)))
    fenced = predict(text, Change(edge=((2, 3),)))
    moved = predict(text, Change(move=((3, "s"),)))

    # the copy ends at 34, the kernel at 26; without the copy the kernel is called at 12
    assert (without.before.makespan, without.after.makespan) == (34_000, 22_000)
    assert fenced.after.makespan == 44_000
    assert fenced.gain == -10_000
    assert moved.after.makespan == 44_000
    with pytest.raises(IndexError, match="no op 7"):
        predict(text, Change(remove=(7,)))


def test_the_call_of_an_op_that_is_left_out_takes_no_time() -> None:
    # the second kernel is called at 4 us instead of 8, whatever the first one took
    found = predict("s: launch w=a begin=0 end=90000; s: launch w=b", Change(remove=(0,)))

    assert found.before.spans == {0: (4_000, 94_000), 1: (94_000, 104_000)}
    assert found.after.spans == {1: (4_000, 14_000)}


def test_an_edge_costs_its_two_calls() -> None:
    # three calls, and a record and a wait: the last kernel is called at 20 us instead of 12, and
    # finds the queue free at 24. An event that is not recorded yet is waited for by nothing.
    text = "s: launch w=a; t: launch w=b; u@1: launch w=c"
    found = predict(text, Change(edge=((0, 2),)))
    back = predict(text, Change(edge=((2, 0),)))

    assert found.before.spans[2] == (12_000, 22_000)
    assert found.after.spans[2] == (20_000, 30_000)
    assert back.after.spans == {0: (8_000, 18_000), 1: (18_000, 28_000), 2: (16_000, 26_000)}


def test_an_edge_to_a_synchronise_makes_the_host_wait() -> None:
    text = f"{UPLOAD}; t: launch w=q; t: stream_sync; malloc e 8"
    found = predict(text.replace("t: stream_sync", "stream_sync t"), Change(edge=((2, 4),)))

    # the kernel runs 16 to 26 us and the copy 12 to 34, which the host now waits for
    assert found.before.makespan == 34_000
    assert found.after.makespan == 38_000


def test_what_nobody_writes_any_more_is_waited_for_for_ever() -> None:
    text = "s: wait_value x 1; s: launch w=a; store x 1"

    assert predict(text, Change(remove=(2,))).after.stuck
    assert not predict(text, Change(remove=(1,))).after.stuck


def test_a_pageable_download_waits_all_the_same() -> None:
    text = f"malloc h {BYTES} pageable; malloc d {BYTES}; s: memcpy d -> h sync; t: launch w=q"

    assert predict(text, Change(asynchronous=(2,))).gain == 0
    assert predict(text.replace("pageable", "pinned"), Change(asynchronous=(2,))).gain == 14_000


# --- the command


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Run ``time`` on a blocking upload and a kernel: (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    text = f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d sync; t: launch w=q"
    save(parse(text), "t.trace.jsonl")

    def ran(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            status = cli.main(["time", "t.trace.jsonl", *arguments])
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capfd.readouterr()
        return status, out, err

    return ran


def test_the_command_shows_the_times_and_what_a_change_saves(run: Ran) -> None:
    status, out, err = run("--unblock", "2")
    found = json.loads(run("--unblock", "2", "--format", "json")[1])

    assert (status, err) == (0, "")
    assert "t.trace.jsonl: 48.000 us\n" in out
    assert "  engine copy in: busy 22.000 us (45.8%)" in out
    assert "    op 2 on host:main: 22.000 us, for op 2" in out
    assert "with the change: 34.000 us; it saves 14.000 us (29.2%)" in out
    assert (found["makespan_ns"], found["what_if"]["saves_ns"]) == (48_000, 14_000)


def test_a_recorded_run_is_shown_as_it_was_unless_a_cost_is_given(run: Ran) -> None:
    # The host waits from 10 to 1_010 and writes until 3_010; the model knows nothing of either.
    text = """
        s: launch k w=a t=0 t_end=10 begin=20 end=1000
        stream_sync s t=10 t_end=1010
        host_write q t=1010 t_end=3010
    """
    save(parse(text), "t.trace.jsonl")

    out = run("--remove", "1")[1]
    found = json.loads(run("--format", "json")[1])

    assert "t.trace.jsonl: 3.010 us as recorded\n" in out
    assert "  stream s: busy 0.980 us (32.6%)" in out
    assert "    op 1 on host:main: 0.990 us, for op 0" in out
    assert "with the change: 2.010 us; it saves 1.000 us (33.2%)" in out
    assert (found["recorded"], found["makespan_ns"]) == (True, 3_010)
    # by the model: a call of 5 us, then the kernel's recorded 0.98, and another call
    modelled = json.loads(run("--cost", "launch=5000", "--format", "json")[1])
    assert (modelled["recorded"], modelled["makespan_ns"]) == (False, 15_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--remove", "9"), "the trace has no op 9"),
        (("--move", "3"), "--move takes OP:STREAM"),
        (("--edge", "3"), "--edge takes OP,OP"),
        (("--edge", "0,3"), "op 0 (malloc) is on no stream"),
        (("--cost", "speed=1"), "no cost 'speed'; there are kernel"),
        (("--cost", "kernel=0"), "--cost kernel: not a number above 0: '0'"),
        (("--remove", "1", "--unblock", "2"), "not allowed with"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    run: Ran, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
