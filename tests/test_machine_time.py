"""Times worked by hand: a call takes 4 us, a kernel 10 us, a copy 2 us and 50 bytes a ns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streamsan import cli
from streamsan.sim.machine.costs import Costs
from streamsan.sim.machine.edits import Edit, edited, saving_of
from streamsan.sim.machine.timing import Blocked, time_of
from streamsan.traces import save
from streamsan.traces.text import parse

Run = Callable[..., tuple[int, str, str]]
BYTES = 1_000_000
"""20 us over the link, and 2 us before."""
UPLOAD = f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d"


def test_kernels_of_one_stream_follow_each_other() -> None:
    found = time_of(parse("s: launch w=a; s: launch w=a"))

    # called at 4 and 8 us; the second begins when the first ends
    assert found.spans == {0: (4_000, 14_000), 1: (14_000, 24_000)}
    assert (found.makespan, found.busy, found.blocked) == (24_000, {"s": 20_000}, ())


def test_there_is_one_compute_queue_and_a_copy_engine_each_way() -> None:
    kernels = time_of(parse("s: launch w=a; t: launch w=b"))
    copies = time_of(parse(
        f"malloc h {BYTES} pinned; malloc g {BYTES} pinned; malloc d {BYTES}; malloc e {BYTES}\n"
        "s: memcpy h -> d; t: memcpy e -> g"
    ))  # fmt: skip

    assert kernels.spans[1] == (14_000, 24_000)
    assert copies.spans == {4: (20_000, 42_000), 5: (24_000, 46_000)}
    assert copies.engines == {"compute": 0, "copy in": 22_000, "copy out": 22_000}


def test_measured_times_go_before_the_model() -> None:
    found = time_of(parse("s: launch w=a begin=100 end=1600; s: launch w=a"))

    assert found.spans == {0: (4_000, 5_500), 1: (8_000, 18_000)}


def test_the_host_is_blocked_on_account_of_what_it_waits_for() -> None:
    found = time_of(parse(f"{UPLOAD}; s: launch r=d; stream_sync s; t: launch w=q"))

    # calls at 4, 8 (mallocs), 12, 16, 20 us; the copy runs 12 to 34, the kernel 34 to 44
    assert found.spans[3] == (34_000, 44_000)
    assert found.blocked == (Blocked(4, "host:main", 24_000, 3),)
    assert found.spans[5] == (48_000, 58_000)


def test_what_waits_for_an_event_begins_after_it() -> None:
    found = time_of(parse(f"{UPLOAD}; s: record e; t: wait e; t: launch r=d"))

    assert found.spans[5] == (34_000, 44_000)


def test_a_hang_is_told() -> None:
    assert time_of(parse("s: wait_value x 1; s: launch w=a")).stuck
    assert not time_of(parse("s: wait_value x 1; store x 1; s: launch w=a")).stuck


def test_another_model() -> None:
    found = time_of(parse("s: launch w=a"), Costs(kernel=70, launch=5))

    assert found.spans == {0: (5, 75)}


def test_what_a_blocking_copy_costs() -> None:
    text = f"malloc h {BYTES} pinned; malloc d {BYTES}; s: memcpy h -> d sync; t: launch w=q"
    saving = saving_of(parse(text), Edit(unblock=2))

    # blocking: the copy 12 to 34, the next call at 38, its kernel to 48; else the copy is the last
    assert (saving.before.makespan, saving.after.makespan, saving.ns) == (48_000, 34_000, 14_000)


def test_what_an_op_an_edge_and_a_stream_cost() -> None:
    text = f"{UPLOAD}; t: launch w=q"
    without = saving_of(parse(text), Edit(remove=2))
    fenced = saving_of(parse(text), Edit(edge=(2, 3)))
    moved = saving_of(parse(text), Edit(move=(3, "s")))

    # the copy ends at 34, the kernel at 26; without the copy the kernel is called at 12
    assert (without.before.makespan, without.after.makespan) == (34_000, 22_000)
    assert fenced.after.makespan == 44_000
    assert fenced.ns == -10_000
    assert moved.after.makespan == 44_000
    with pytest.raises(IndexError, match="no op 7"):
        edited(parse(text), Edit(remove=7))


# --- the command


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
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


def test_the_command_shows_the_times_and_what_a_change_saves(run: Run) -> None:
    status, out, err = run("--unblock", "2")
    found = json.loads(run("--unblock", "2", "--format", "json")[1])

    assert (status, err) == (0, "")
    assert "t.trace.jsonl: 48.000 us\n" in out
    assert "  engine copy in: busy 22.000 us (45.8%)" in out
    assert "    op 2 on host:main: 22.000 us, for op 2" in out
    assert "with the change: 34.000 us; it saves 14.000 us (29.2%)" in out
    assert (found["makespan_ns"], found["what_if"]["saves_ns"]) == (48_000, 14_000)


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
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
