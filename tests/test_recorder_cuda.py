"""The recorder on a real GPU. Without one these tests skip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import streamsan

pytest.importorskip("torch")

import torch

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device; see issue 9"
)


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
