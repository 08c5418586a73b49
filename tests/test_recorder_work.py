"""Work that is more than ops of torch on one stream: graphs, collectives, compiled kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
import torch.distributed as dist
from recorder_fake import Fake, recording

import streamsan
from streamsan.traces.recorder.live import compiled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.trace.jsonl"


class Graph:
    """A graph that runs nothing."""

    def capture_begin(self) -> None: ...

    def capture_end(self) -> None: ...

    def replay(self) -> None: ...

    def reset(self) -> None: ...


class GraphFake(Fake):
    graph_types = (Graph,)


def test_a_capture_becomes_nodes_in_the_order_of_its_streams(path: Path) -> None:
    fake = GraphFake()
    a, b = torch.ones(4), torch.ones(4)
    graph = Graph()
    with recording(path, fake) as record:
        a.add_(1)
        with fake.stream(5):
            graph.capture_begin()
            a.mul_(2)
            fake.callbacks.event_record(1, 5)
            fake.callbacks.event_wait(1, 6)
            with fake.stream(6):
                b.mul_(3)
            a.sub_(1)
            fake.callbacks.event_record(2, 6)
            fake.callbacks.event_wait(2, 5)
            a.div_(b)
            graph.capture_end()
            graph.replay()
        b.add_(1)
    trace = record.trace()
    told = [op.word for op in trace if op.word not in ("malloc", "stream_create")]
    nodes = next(op for op in trace if op.word == "graph_capture").fields()["nodes"]

    assert told == ["launch", "graph_capture", "graph_launch", "launch"]
    assert [(node["name"], node["after"]) for node in nodes] == [
        ("mul_", []), ("mul_", [0]), ("sub_", [0]), ("div_", [1, 2]),
    ]  # fmt: skip
    rules = {f.rule for f in streamsan.check(trace) if f.severity == "error"}
    assert rules & {"SO101", "SO102", "SO103"}


def test_a_graph_of_before_is_a_gap(path: Path) -> None:
    with recording(path, GraphFake()) as record:
        Graph().replay()

    assert not record.trace().header.complete.accesses
    assert "captured before" in record.trace().gaps[0].reason


def test_a_graph_s_memory_is_in_use_as_long_as_the_graph(path: Path) -> None:
    """A temporary of a capture is freed while it is captured, and written by every replay."""
    fake = GraphFake()
    graph = Graph()
    with recording(path, fake) as record:
        with fake.stream(5):
            graph.capture_begin()
            fake.callbacks.memory_allocation(4096)
            fake.callbacks.memory_deallocation(4096)
            torch.ones(4).add_(1)
            graph.capture_end()
        graph.replay()
        before = record.trace()
        graph.reset()
    mallocs = [op for op in record.trace() if op.word == "malloc"]
    (made,) = [op for op in mallocs if op.extras.get("address") == 4096]
    freed = [op.obj for op in record.trace() if op.word == "free"]

    assert made.obj not in [op.obj for op in before if op.word == "free"]
    assert made.obj in freed
    assert made.bit("stream") is None


def test_a_graph_that_is_gone_frees_its_memory(path: Path) -> None:
    fake = GraphFake()
    with recording(path, fake) as record:
        graph = Graph()
        graph.capture_begin()
        fake.callbacks.memory_allocation(4096)
        graph.capture_end()
        fake.callbacks.memory_deallocation(4096)
        del graph
        torch.ones(4)

    assert "free" in [op.word for op in record.trace()]


def test_a_capture_that_fails_leaves_nothing(path: Path) -> None:
    class Failing(Graph):
        def capture_end(self) -> None:
            raise RuntimeError("capture failed")

    class FailingFake(Fake):
        graph_types = (Failing,)

    a = torch.ones(4)
    with recording(path, FailingFake()) as record:
        graph = Failing()
        graph.capture_begin()
        a.add_(1)
        with pytest.raises(RuntimeError):
            graph.capture_end()
        a.mul_(2)

    assert [op.name for op in record.trace() if op.word == "launch"] == ["mul_"]


def test_a_replay_is_one_op(path: Path) -> None:
    class Filling(Graph):
        seed = torch.zeros(1)

        def capture_begin(self) -> None:
            self.seed.fill_(1)

        def replay(self) -> None:
            self.seed.fill_(2)

    class FillingFake(Fake):
        graph_types = (Filling,)

    with recording(path, FillingFake()) as record:
        graph = Filling()
        graph.capture_begin()
        graph.capture_end()
        graph.replay()

    assert [op.word for op in record.trace()] == ["graph_capture", "graph_launch"]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    if not dist.is_available():
        pytest.skip("this torch has no distributed")
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rank", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_collectives_have_a_group_and_a_number(path: Path) -> None:
    a, parts = torch.ones(4), [torch.ones(4)]
    with recording(path, Fake()) as record:
        dist.all_reduce(a)
        dist.all_gather(parts, a)
        dist.all_reduce(a)
    found = [op.fields() for op in record.trace() if op.word == "collective"]

    assert [each["seq"] for each in found] == [0, 1, 2]
    assert len({each["group"] for each in found}) == 1
    assert found[0]["reads"] == found[0]["writes"]
    assert found[1]["reads"] == found[0]["reads"]
    assert found[1]["writes"] != found[1]["reads"]


@pytest.mark.usefixtures("group")
def test_a_collective_stands_between_its_own_events(path: Path) -> None:
    """What NCCL's process group does within a call: wait on its stream, run, record."""
    fake = Fake()
    a = torch.ones(4)
    with recording(path, fake) as record:
        plain = torch.ops.c10d.allreduce_.default
        op, plain._op = plain._op, lambda *args, **kwargs: _as_nccl(fake, op, args, kwargs)
        try:
            dist.all_reduce(a)
        finally:
            plain._op = op
        fake.callbacks.event_wait(2, 0)
        a.add_(1)
    trace = record.trace()
    told = [(op.word, op.stream) for op in trace if op.word not in ("malloc", "stream_create")]

    assert told == [
        ("event_record", "0"), ("stream_wait_event", "s1"), ("collective", "s1"),
        ("event_record", "s1"), ("stream_wait_event", "0"), ("launch", "0"),
    ]  # fmt: skip
    assert not [f for f in streamsan.check(trace) if f.severity == "error"]


def _as_nccl(fake: Fake, op: Any, args: Any, kwargs: Any) -> Any:
    fake.callbacks.event_record(1, 0)
    fake.callbacks.event_wait(1, 77)
    made = op(*args, **kwargs)
    fake.callbacks.event_record(2, 77)
    return made


def test_a_compiled_kernel_reads_and_writes_its_tensors(path: Path) -> None:
    class Kernel:
        fn = test_a_graph_of_before_is_a_gap

        def run(self, *args: Any, **kwargs: Any) -> int:
            args[0].add_(1)  # what it does is one launch
            return len(kwargs)

    class CompiledFake(Fake):
        def extras(self, observer: Any) -> None:
            Kernel.run = compiled.launching(observer, Kernel.run)  # type: ignore[method-assign]

    a, b = torch.ones(4), torch.ones(8)
    with recording(path, CompiledFake()) as record:
        assert Kernel().run(a, 4, out=b) == 1
    (op,) = [op for op in record.trace() if op.word == "launch"]

    assert op.name == "test_a_graph_of_before_is_a_gap"
    assert op.fields()["reads"] == op.fields()["writes"] == ("d1", "d2")
