"""``empty_cache``: cudaFree waits for the device, where there is anything to free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import streamsan
from streamsan import sim

pytest.importorskip("torch")

import torch

sim.install()
DEVICE = "simcuda"
m: Any = torch.get_device_module(DEVICE)
LARGE = 8 << 20
"""So many floats have a segment of their own."""


@pytest.fixture(autouse=True)
def _late() -> Iterator[None]:
    m.synchronize()
    with sim.session("lazy"):
        yield


def busy() -> Any:
    """Queue work on a side stream; give an event at its end, which holds the memory."""
    side, event = m.Stream(), m.Event()
    with m.stream(side):
        event.buffer = torch.zeros(4, device=DEVICE)
        event.record()
    return event


def frees(prefix: str) -> list[Any]:
    return [op for op in sim.trace() if op.word == "free" and str(op.obj).startswith(prefix)]


def test_freeing_a_segment_waits_for_the_whole_device() -> None:
    block = torch.zeros(LARGE, device=DEVICE)
    event = busy()
    held = m.memory_reserved()
    del block
    m.empty_cache()
    assert event.query()
    assert m.memory_reserved() == held - 4 * LARGE
    assert len(frees("segment")) == 1


def test_with_nothing_to_free_nothing_waits() -> None:
    event = busy()
    block = torch.zeros(4, device=DEVICE)
    m.empty_cache()
    assert not event.query()
    assert frees("segment") == []
    del block


def test_the_record_orders_what_comes_after() -> None:
    def program(emptied: bool) -> list[float]:
        side = m.Stream()
        block, buffer = torch.zeros(LARGE, device=DEVICE), torch.zeros(4, device=DEVICE)
        m.synchronize()
        buffer.add_(1)
        del block
        if emptied:
            m.empty_cache()
        with m.stream(side):
            return (buffer * 2).tolist()

    for emptied in (True, False):
        run = sim.run(lambda: program(emptied), "lazy")  # noqa: B023 - called at once
        assert run.trace is not None
        rules = [f.rule for f in streamsan.check(run.trace) if f.severity == "error"]
        assert rules == ([] if emptied else ["SO101"])
        assert (run.value == [2.0] * 4) is emptied


def test_blocks_withheld_for_another_stream_are_waited_for() -> None:
    block = torch.zeros(LARGE, device=DEVICE)
    m.synchronize()
    side, other = m.Stream(), busy()
    with m.stream(side):
        block.add_(1)
    block.record_stream(side)
    del block
    m.empty_cache()
    assert side.query()
    assert other.query()
    assert len(frees("segment")) == 1


def test_only_the_withheld_are_waited_for_where_no_segment_ends() -> None:
    keep, block = torch.zeros(4, device=DEVICE), torch.zeros(4, device=DEVICE)
    m.synchronize()
    side, other = m.Stream(), busy()
    with m.stream(side):
        block.add_(1)
    block.record_stream(side)
    del block
    m.empty_cache()
    assert side.query()
    assert not other.query()
    assert frees("segment") == []
    del keep


def test_memory_that_runs_out_is_freed_first() -> None:
    def program() -> bool:
        block = torch.zeros(LARGE, device=DEVICE)
        event = busy()
        del block
        made = torch.zeros(LARGE + 1024, device=DEVICE)
        return bool(event.query()) and made.tolist()[:2] == [0.0, 0.0]

    run = sim.run(program, "lazy", memory=5 * LARGE)
    assert run.value
    sim.install()
