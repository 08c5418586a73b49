"""The streams of the autograd engine, over several backwards of one run."""

from __future__ import annotations

import _thread
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streamsan
from streamsan import sim

pytest.importorskip("torch")

import torch
from sim_table_streams import module

from streamsan.sim.device.hosts import Host, Hosts

sim.install()
DEVICE = "simcuda"
m: Any = torch.get_device_module(DEVICE)


@pytest.fixture
def whole_run() -> Iterator[None]:
    with sim.session() as run:
        yield
    assert run.trace is not None
    assert [f for f in streamsan.check(run.trace) if f.severity == "error"] == []
    assert {op.thread for op in run.trace} == {"main"}


def weight(device: str) -> Any:
    made = torch.tensor([0.5, -1.0, 2.0], device=device)
    return made.requires_grad_()


def launches(since: int) -> list[tuple[str, str | None]]:
    """Give the name and the stream of each kernel from an op on."""
    return [(op.name, op.stream) for op in sim.trace() if op.word == "launch"][since:]


def gradient(w: Any, _: Any) -> Any:
    return torch.autograd.grad((w * w).sum(), w)[0]


def twice(w: Any, _: Any) -> Any:
    (first,) = torch.autograd.grad((w**3).sum(), w, create_graph=True)
    return torch.autograd.grad(first.sum(), w)[0]


def thrice(w: Any, _: Any) -> Any:
    (first,) = torch.autograd.grad((w**4).sum(), w, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), w, create_graph=True)
    return torch.autograd.grad(second.sum(), w)[0]


def added_up(w: Any, _: Any) -> Any:
    """The engine adds gradients up: that is a node, too."""
    y = w * 2
    (first,) = torch.autograd.grad((y * y * y + y.exp()).sum(), w, create_graph=True)
    return torch.autograd.grad((first * first).sum(), w)[0]


def penalty(w: Any, m: Any) -> Any:
    """A graph that one stream made is differentiated while another is current."""
    (first,) = torch.autograd.grad((w**3).sum(), w, create_graph=True)
    side = m.Stream()
    ones = torch.ones_like(w)
    side.wait_stream(m.current_stream())
    with m.stream(side):
        (found,) = torch.autograd.grad(first, w, ones)
    m.current_stream().wait_stream(side)
    return found


def on_a_side_stream(program: Callable[[Any, Any], Any], device: str) -> list[float]:
    m = module(device)
    w, side = weight(device), m.Stream()
    with m.stream(side):
        found = program(w, m)
    m.current_stream().wait_stream(side)
    if device == DEVICE:
        found.record_stream(m.current_stream())
    values: list[float] = found.cpu().tolist()
    return values


@pytest.mark.usefixtures("whole_run")
@pytest.mark.parametrize("program", [gradient, twice, thrice, added_up, penalty])
def test_backwards_are_right_and_silent_one_after_another(program: Any) -> None:
    right = on_a_side_stream(program, "cpu")
    for _ in range(12):  # memory of one backward is freed by the engine's thread, late
        assert on_a_side_stream(program, DEVICE) == pytest.approx(right)


@pytest.mark.usefixtures("whole_run")
def test_a_graph_made_in_a_backward_stays_on_the_stream_that_made_it() -> None:
    w, side = weight(DEVICE), m.Stream()
    for _ in range(3):
        with m.stream(side):
            (first,) = torch.autograd.grad((w**3).sum(), w, create_graph=True)
        m.current_stream().wait_stream(side)
        since = len(launches(0))
        (second,) = torch.autograd.grad(first, w, torch.ones_like(w))
        names = [name for name, stream in launches(since) if stream == f"s{side.stream_id}"]
        assert second.cpu().tolist() == [3.0, -6.0, 12.0]
        assert len(names) == len(launches(since)) - 1  # but ones_like


@pytest.mark.usefixtures("whole_run")
def test_what_ran_on_the_default_stream_goes_back_there() -> None:
    w, side = weight(DEVICE), m.Stream()
    loss = (w * w).sum()
    side.wait_stream(m.current_stream())
    since = len(launches(0))
    with m.stream(side):
        (found,) = torch.autograd.grad(loss, w)
    assert {stream for name, stream in launches(since) if name == "mul"} == {"0"}
    m.synchronize()
    assert found.tolist() == [1.0, -2.0, 4.0]


def test_a_thread_of_the_engine_counts_as_the_one_it_works_or_worked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may touch the device outside any backward as well: what it held is freed late."""
    hosts, main = Hosts(), Host("main")
    task = -1
    monkeypatch.setattr("streamsan.sim.device.hosts.graph_task", lambda: task)
    seen: list[str] = []
    running = _thread.allocate_lock()  # an Event would be recorded
    running.acquire()

    def engine() -> None:
        nonlocal task
        seen.append(hosts.here().name)
        hosts.backward.append(main)
        seen.append(hosts.here().name)
        task = 7
        seen.append(hosts.here().name)
        hosts.backward.clear()
        task = -1
        seen.append(hosts.here().name)
        running.release()

    _thread.start_new_thread(engine, ())  # Python did not make it, as far as threading knows
    running.acquire()
    assert seen[0].startswith("Dummy")
    assert seen[1:] == [seen[0], "main", "main"]
