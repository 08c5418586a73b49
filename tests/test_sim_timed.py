"""The schedule ``timed``: work runs when its simulated time has come.

Times are worked out by hand: a call takes 1 us and work begins after it; a kernel takes 5 us, a
sleep its cycles as well, a copy 40 ns for each 1000 bytes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streamsan
from streamsan import sim

torch = pytest.importorskip("torch")

sim.install()
DEVICE = "simcuda"
LONG = 1_000_000
m: Any = torch.get_device_module(DEVICE)


class Two:
    """Two streams, and a tensor of zeros that both may touch."""

    def __init__(self, size: int = 4) -> None:
        self.a, self.b = m.Stream(), m.Stream()
        self.x = torch.zeros(size, device=DEVICE)
        m.synchronize()


def written_late(ordered: bool) -> Any:
    two = Two()
    with m.stream(two.a):
        m._sleep(LONG)
        two.x.fill_(1)
        written = two.a.record_event()
    with m.stream(two.b):
        if ordered:
            two.b.wait_event(written)
        return (two.x * 10).tolist()[0]


def overwritten_early(ordered: bool) -> Any:
    two = Two()
    with m.stream(two.a):
        m._sleep(LONG)
        y = two.x * 10 + 5
        read = two.a.record_event()
    with m.stream(two.b):
        if ordered:
            two.b.wait_event(read)
        two.x.fill_(1)
    two.a.synchronize()
    with m.stream(two.a):
        return y.tolist()[0]


def downloaded_late(ordered: bool) -> Any:
    two = Two()
    host = torch.full((4,), 7.0, pin_memory=True)
    with m.stream(two.a):
        m._sleep(LONG)
        host.copy_(two.x, non_blocking=True)
        copied = two.a.record_event()
    two.b.synchronize()
    if ordered:
        copied.synchronize()
    return host.tolist()[0]


def uploaded_late(ordered: bool) -> Any:
    two = Two()
    host = torch.ones(4, pin_memory=True)
    with m.stream(two.a):
        m._sleep(LONG)
        two.x.copy_(host, non_blocking=True)
        copied = two.a.record_event()
    if ordered:
        copied.synchronize()
    host.fill_(2)
    with m.stream(two.a):
        return two.x.tolist()[0]


def waited_for_another(ordered: bool) -> Any:
    """The host waits for ``a`` alone; ``b`` goes on all the same."""
    two = Two()
    if ordered:
        two.b.wait_event(_much_later())
    with m.stream(two.b):
        two.x.fill_(1)
    with m.stream(two.a):
        m._sleep(LONG)
        return two.x.tolist()[0]


def _much_later() -> Any:
    other = m.Stream()
    with m.stream(other):
        m._sleep(9 * LONG)
    return other.record_event()


PROGRAMS: dict[str, tuple[Callable[[bool], Any], float, float]] = {
    "written_late": (written_late, 0, 10),
    "overwritten_early": (overwritten_early, 15, 5),
    "downloaded_late": (downloaded_late, 7, 0),
    "uploaded_late": (uploaded_late, 2, 1),
    "waited_for_another": (waited_for_another, 1, 0),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_delay_shows_what_is_not_waited_for(name: str, ordered: bool) -> None:
    program, wrong, right = PROGRAMS[name]
    run = sim.run(lambda: program(ordered), "timed")
    assert run.value == (right if ordered else wrong)
    assert sim.run(lambda: program(ordered), run.schedule).value == run.value
    assert sim.run(lambda: program(ordered), "timed").schedule == run.schedule


def test_without_a_delay_the_race_is_won() -> None:
    def program() -> Any:
        two = Two()
        with m.stream(two.a):
            two.x.fill_(1)
        with m.stream(two.b):
            m._sleep(LONG)
            return two.x.tolist()[0]

    assert sim.run(program, "timed").value == 1
    assert sim.run(program, "lazy").value == 0


def test_ends_at_the_same_time_keep_the_order_of_issue() -> None:
    def program() -> Any:
        two = Two(25_000)
        ones = torch.ones(25_000, pin_memory=True)
        with m.stream(two.b):
            m._sleep(0)  # call at 0, runs from 1 to 6 us
        with m.stream(two.a):
            two.x.copy_(ones, non_blocking=True)  # call at 1, from 2 to 2 + 5 + 4 = 11 us
        with m.stream(two.b):
            two.x.fill_(2)  # call at 2, from 6 to 11 us
        m.synchronize()
        return two.x.tolist()[0]

    run = sim.run(program, "timed")
    assert run.value == 2
    assert run.trace is not None
    ends = [op.fields()["end"] for op in run.trace if op.word in {"launch", "memcpy"}]
    assert ends[2] == ends[3]


def test_queries_answer_by_the_clock() -> None:
    def program() -> list[bool]:
        two = Two()
        with m.stream(two.a):
            m._sleep(LONG)
        with m.stream(two.b):
            m._sleep(2 * LONG)
        first = [two.a.query(), two.b.query()]
        two.b.synchronize()
        return [*first, two.a.query()]

    assert sim.run(program, "timed").value == [False, False, True]


def test_a_wait_for_an_event_lets_the_clock_go_on() -> None:
    def program() -> list[bool]:
        two = Two()
        with m.stream(two.b):
            m._sleep(LONG // 2)
        with m.stream(two.a):
            m._sleep(LONG)
            event = two.a.record_event()
        before = two.b.query()
        event.synchronize()
        return [before, two.b.query()]

    assert sim.run(program, "timed").value == [False, True]


@pytest.mark.parametrize("policy", ["eager", "timed"])
@pytest.mark.parametrize("of", ["stream", "event"])
def test_what_is_done_lies_behind_the_clock(policy: str, of: str) -> None:
    def program() -> None:
        two = Two()
        with m.stream(two.a):
            m._sleep(LONG)
            asked = two.a if of == "stream" else two.a.record_event()
        while not asked.query():
            pass
        two.x.fill_(1)

    run = sim.run(program, policy)
    assert run.trace is not None
    _, sleep, fill = (op.fields() for op in run.trace if op.word == "launch")
    assert fill["t"] == sleep["end"]


def test_a_loop_of_queries_lets_the_clock_go_on() -> None:
    def program() -> tuple[int, bool]:
        two = Two()
        event = m.Event()
        with m.stream(two.b):
            m._sleep(LONG // 2)
        with m.stream(two.a):
            m._sleep(LONG)
            event.record()
        asked = 1
        while not event.query():
            asked += 1
        return asked, two.b.query()

    run = sim.run(program, "timed")
    assert run.value == (5, True)
    assert sim.run(program, run.schedule).value == run.value


def test_a_sleep_is_work_of_its_length_that_touches_nothing() -> None:
    def program() -> None:
        with m.stream(m.Stream()):
            m._sleep(LONG)
            m._sleep(-1)
        m.synchronize()

    run = sim.run(program)
    assert run.trace is not None
    first, second = (op for op in run.trace if op.word == "launch")
    assert first.name == second.name == "sleep"
    assert first.fields()["end"] - first.fields()["begin"] == LONG + 5_000
    assert second.fields()["end"] - second.fields()["begin"] == 5_000
    assert not {"reads", "writes"} & set(first.fields())
    assert [f for f in streamsan.check(run.trace) if f.severity == "error"] == []


def test_a_wait_for_the_device_runs_all_of_it_by_time() -> None:
    def program() -> Any:
        two = Two()
        with m.stream(two.a):
            m._sleep(LONG)
            two.x.fill_(1)
        with m.stream(two.b):
            two.x.fill_(2)
        m.synchronize()
        return two.x.tolist()[0]

    assert sim.run(program, "timed").value == 1
    assert sim.run(program, "eager").value == 2
