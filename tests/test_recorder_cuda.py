"""The recorder on a real GPU. Without one these tests skip, and after the simulated device's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import streamsan

pytest.importorskip("torch")

import torch
from torch.utils.checkpoint import checkpoint

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; see issue 9"
)


@pytest.fixture(autouse=True)
def own_process() -> None:
    from streamsan import sim

    if sim.is_installed():
        pytest.skip("the simulated device hides the GPU in this process: run this file by itself")


def rules(trace: streamsan.Trace) -> set[str]:
    return {finding.rule for finding in streamsan.check(trace)}


def race(ordered: bool) -> None:
    a = torch.zeros(1 << 20, device="cuda")
    side = torch.cuda.Stream()
    a.add_(1)
    if ordered:
        side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        b = a * 2
    torch.cuda.synchronize()
    del b


def test_a_race_is_found_and_its_twin_is_silent(tmp_path: Path) -> None:
    for ordered in (False, True):
        with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
            race(ordered)
        assert ("SO101" in rules(recording.trace())) is not ordered


def test_the_profiler_agrees(tmp_path: Path) -> None:
    def body() -> Any:
        host = torch.empty(1 << 16, pin_memory=True)
        x = torch.randn(1 << 16, device="cuda")
        y = (x @ x.view(1 << 16, 1)).sum()
        host.copy_(x, non_blocking=True)
        torch.cuda.synchronize()
        return y.item()

    with streamsan.record(tmp_path / "a.trace.jsonl", profile=True) as recording:
        body()
    trace = recording.trace()

    assert trace.gaps == ()
    assert trace.header.complete.accesses
    assert all("begin" in op.fields() for op in trace if op.word == "launch" and op.name == "mul")


def test_pinned_memory_has_no_events_of_the_allocator(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        x = torch.zeros(1 << 20, device="cuda")
        for _ in range(4):
            x.copy_(torch.ones(1 << 20).pin_memory(), non_blocking=True)
        torch.cuda.synchronize()
    words = [op.word for op in recording.trace()]

    assert "event_record" not in words
    assert words.count("free") >= 4


def test_a_graph_is_captured_and_replayed(tmp_path: Path) -> None:
    x = torch.zeros(64, device="cuda")
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = x + 1
        graph.replay()
        torch.cuda.synchronize()
        del y
    ops = {op.word: op for op in recording.trace()}

    assert [node["name"] for node in ops["graph_capture"].fields()["nodes"]] == ["add"]
    assert ops["graph_launch"].obj == ops["graph_capture"].obj


def told(recording: streamsan.Recording, *skipped: str) -> list[str]:
    return [op.word for op in recording.trace() if op.word not in ("malloc", "free", *skipped)]


def test_a_graph_with_temporaries_is_silent(tmp_path: Path) -> None:
    x = torch.zeros(64, device="cuda")
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = x + 1
            y = y * 2
            y = y - 3
        for _ in range(2):
            x.fill_(1)
            graph.replay()
            y.cpu()
        torch.cuda.synchronize()

    assert not [f for f in streamsan.check(recording.trace()) if f.severity == "error"]


def test_values_go_up_and_down_in_one_op(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        x = torch.tensor([1, 2, 3], device="cuda")
        values = x.tolist()
        text = repr(x)
    copies = [op.bit("kind") for op in recording.trace() if op.word == "memcpy"]

    assert values == [1, 2, 3]
    assert "1, 2, 3" in text
    assert copies == ["H2D", "D2H", "D2H"]
    assert told(recording, "memcpy", "host_read") == []


def test_a_number_by_a_mask_does_not_wait(tmp_path: Path) -> None:
    x = torch.zeros(64, device="cuda")
    mask = x > 0
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        x[mask] = 1

    assert told(recording) == ["launch"]


def test_an_event_bears_its_name(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        with streamsan.named("ready"):
            event = torch.cuda.Event(enable_timing=True)
        event.record()
        torch.cuda.current_stream().wait_event(event)
    events = [op.obj for op in recording.trace() if "event" in op.word]

    assert set(events) == {"ready"}


def test_backward_on_two_streams_is_silent(tmp_path: Path) -> None:
    side = torch.cuda.Stream()
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        w = torch.ones(64, device="cuda", requires_grad=True)
        y = w * 2
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            z = (y * 3).sum()
        torch.cuda.current_stream().wait_stream(side)
        z.backward()
        torch.cuda.synchronize()
    trace = recording.trace()

    assert {op.thread for op in trace} == {"main"}
    assert not [f for f in streamsan.check(trace) if f.rule.startswith(("SO1", "SO2"))]


@pytest.mark.filterwarnings("ignore")  # importing Inductor warns
def test_checkpoints_and_compiled_code_run_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("triton")

    def program(a: torch.Tensor) -> torch.Tensor:
        return (a * 2).relu() + a.sum()

    a = torch.ones(64, device="cuda", requires_grad=True)
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        made: Any = checkpoint(program, a, use_reentrant=False)
        made.sum().backward()
        with torch.no_grad():
            torch.compile(program)(a.detach())
        torch.cuda.synchronize()
    names = [str(op.name) for op in recording.trace() if op.word == "launch"]

    assert recording.trace().gaps == ()
    assert any(name.startswith("triton_") for name in names)


def test_a_kernel_that_sleeps_is_recorded(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl", profile=True) as recording:
        torch.cuda._sleep(1000)
        torch.ones(4, device="cuda")

    assert [op.name for op in recording.trace() if op.word == "launch"] == ["sleep", "ones"]
    assert recording.trace().gaps == ()
