"""The recorder on a device that is none: CPU tensors, streams that are numbers."""

from __future__ import annotations

import gc
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import streamsan
from streamsan.traces.recorder.errors import RecordError

pytest.importorskip("torch")

import torch
from recorder_fake import Fake, recording

from streamsan.traces.recorder.live.names import Names
from streamsan.traces.recorder.live.session import Session
from streamsan.traces.recorder.record import Recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.trace.jsonl"


def words(trace: streamsan.Trace) -> list[str]:
    return [op.word for op in trace]


def launches(trace: streamsan.Trace) -> list[Any]:
    return [op for op in trace if op.word == "launch"]


def test_reads_and_writes_by_schema(path: Path) -> None:
    fake = Fake()
    a, b = torch.ones(8), torch.ones(8)
    with recording(path, fake) as record:
        c = a + b
        c.mul_(2)
        c.fill_(0)
        torch.add(a, b, out=c)
        torch.empty_like(c)
        torch.zeros_like(c)
        c.view(2, 4)
    sets = [(op.name, op.fields().get("reads", ()), op.fields().get("writes", ()))
            for op in launches(record.trace())]  # fmt: skip

    assert sets == [
        ("add", ("d1", "d2"), ("d3",)), ("mul_", ("d3",), ("d3",)), ("fill_", (), ("d3",)),
        ("add", ("d1", "d2"), ("d3",)), ("zeros_like", (), (sets[-1][2][0],)),
    ]  # fmt: skip


def test_columns_are_strided_and_do_not_overlap(path: Path) -> None:
    fake = Fake()
    table = torch.zeros(8, 4)
    with recording(path, fake) as record:
        with fake.stream(5):
            table[:, 0].add_(1)
        with fake.stream(6):
            table[:, 1].add_(1)
        with fake.stream(7):
            table[:, 1].add_(1)
    errors = [f for f in streamsan.check(record.trace()) if f.severity == "error"]

    assert [f.streams for f in errors] == [("s2", "s3")]


def test_foreach_lists_and_batch_norm_statistics(path: Path) -> None:
    fake = Fake()
    many = [torch.ones(4), torch.ones(4)]
    norm = torch.nn.BatchNorm1d(3)
    with recording(path, fake) as record, torch.no_grad():
        torch._foreach_add_(many, 1.0)
        norm(torch.ones(2, 3))
    by_name = {op.name: op.fields() for op in launches(record.trace())}

    assert by_name["_foreach_add_"]["reads"] == by_name["_foreach_add_"]["writes"] == ("d1", "d2")
    assert len(by_name["native_batch_norm"]["writes"]) >= 3


def test_inference_mode_is_taken_apart(path: Path) -> None:
    fake = Fake()
    layer = torch.nn.Linear(4, 4)
    with recording(path, fake) as record, torch.inference_mode():
        layer(torch.ones(2, 4))

    assert [op.name for op in launches(record.trace())][-1] == "addmm"


def test_transfers_follow_pinned_and_pageable(path: Path) -> None:
    fake = Fake(everything=False)
    pinned, pageable = fake.pinned(4), fake.pageable(4)
    with recording(path, fake) as record:
        device = torch.ones(4)
        pinned.copy_(device, non_blocking=True)
        pageable.copy_(device, non_blocking=True)
        pinned.copy_(device)
        device.copy_(pinned, non_blocking=True)
    copies = [op.fields() for op in record.trace() if op.word == "memcpy"]
    shown = [(c["kind"], c.get("async_", True), c["src"], c["dst"]) for c in copies]

    assert shown == [
        ("D2H", True, "d1", "h1"), ("D2H", True, "d1", "p1"), ("D2H", False, "d1", "h1"),
        ("H2D", True, "h1", "d1"),
    ]  # fmt: skip
    assert copies[2]["wait"] == "stream"


def test_an_early_read_of_a_download_is_found(path: Path) -> None:
    fake = Fake(everything=False)
    pinned = fake.pinned(4)
    with recording(path, fake) as record:
        pinned.copy_(torch.ones(4), non_blocking=True)
        pinned.tolist()
        fake.callbacks.stream_synchronization(0)
        pinned.tolist()
    found = [f for f in streamsan.check(record.trace()) if f.rule == "SO111"]

    assert [f.count for f in found] == [1]


def test_numpy_and_data_ptr_are_escapes(path: Path) -> None:
    fake = Fake(everything=False)
    pinned, plain = fake.pinned(4), fake.pageable(4)
    with recording(path, fake) as record:
        pinned.numpy()
        pinned.data_ptr()
        plain.numpy()
        repr(pinned)
    told = [(op.word, op.via) for op in record.trace() if op.word.startswith("host")]

    assert told == [("host_escape", "numpy"), ("host_escape", "data_ptr"), ("host_read", "repr")]


def test_methods_are_put_back(path: Path) -> None:
    before = {name: vars(torch.Tensor).get(name) for name in ("tolist", "numpy", "data_ptr")}
    start = threading.Thread.start
    with recording(path, Fake()):
        assert vars(torch.Tensor).get("tolist") is not before["tolist"]
    after = {name: vars(torch.Tensor).get(name) for name in before}

    assert after == before
    assert threading.Thread.start is start


def test_a_workspace_belongs_to_its_op(path: Path) -> None:
    fake = Fake()
    a = torch.ones(4)
    with recording(path, fake) as record:
        library = torch.library.Library("streamsan_test", "DEF")
        library.define("spacious(Tensor x) -> Tensor")

        def spacious(x: Any) -> Any:
            fake.callbacks.memory_allocation(4096)
            fake.callbacks.memory_deallocation(4096)
            return x + 1

        library.impl("spacious", spacious, "CPU")
        torch.ops.streamsan_test.spacious(a)
    trace = record.trace()
    op = launches(trace)[-1].fields()
    space = next(o.obj for o in trace if o.word == "malloc" and "address" in o.extras
                 and o.extras["address"] == 4096)  # fmt: skip

    assert space in op["reads"]
    assert space in op["writes"]
    assert words(trace).index("launch") < words(trace).index("free")
    assert op["name"] == "streamsan_test::spacious"


def test_a_wait_within_an_op_comes_before_its_kernel(path: Path) -> None:
    fake = Fake()
    a = torch.ones(4)
    library = torch.library.Library("streamsan_waits", "DEF")
    library.define("waiting(Tensor x) -> Tensor")

    def waiting(x: Any) -> Any:
        fake.callbacks.stream_synchronization(0)
        return x + 1

    library.impl("waiting", waiting, "CPU")
    with recording(path, fake) as record:
        torch.ops.streamsan_waits.waiting(a)
        a[0].item()
    told = [word for word in words(record.trace()) if word not in ("malloc", "free")]

    assert told == ["stream_synchronize", "launch", "memcpy"]


def test_the_pinned_allocator_s_events_are_not_the_program_s(path: Path) -> None:
    fake = Fake(everything=False)
    with recording(path, fake) as record:
        device = torch.ones(4)
        for first in (True, False):
            pinned = fake.pinned(4)
            device.copy_(pinned, non_blocking=True)
            if first:
                fake.callbacks.event_record(99, 0)  # the allocator's, just before the finalizer
                del pinned
            else:
                del pinned
                fake.callbacks.event_record(99, 0)  # or just after
        fake.callbacks.event_record(7, 0)
    told = [op.word for op in record.trace() if op.word in ("event_record", "free")]

    assert told == ["free", "free", "event_record"]


def test_names_come_from_the_program(path: Path) -> None:
    fake = Fake()
    with recording(path, fake) as record:
        with streamsan.named("pages"):
            first, second = torch.ones(4), torch.ones(4)
        del first, second
    names = [op.obj for op in record.trace() if op.word == "malloc"]

    assert names == ["pages", "pages#2"]
    assert record_names("d1", "pages#2", "pages") == ["d1_", "pages_2", "pages"]
    assert {op.name for op in launches(record.trace())} == {"pages"}


def record_names(*wanted: str) -> list[str]:
    names = Names(Fake(), lambda _: None)
    return [names.unique(name) for name in wanted]


def test_a_declared_kernel_is_one_op(path: Path) -> None:
    fake = Fake()
    table, out = torch.zeros(8, 4), torch.zeros(4)
    with recording(path, fake) as record:
        streamsan.kernel("gather", lambda: out.copy_(table[3] * 2), reads=[table[3]], writes=[out])
    (op,) = launches(record.trace())

    assert op.name == "gather"
    assert op.fields()["reads"] == (("d1", 48, 16),)


def test_threads_are_followed_and_ordered(path: Path) -> None:
    fake = Fake()
    todo: queue.Queue[Any] = queue.Queue()
    todo.put("early")

    def worker() -> None:
        while (item := todo.get()) is not None:
            if item != "early":
                item.add_(1)

    with recording(path, fake) as record:
        thread = threading.Thread(target=worker, name="worker")
        thread.start()
        todo.put(torch.ones(4))
        todo.put(None)
        thread.join()
        with ThreadPoolExecutor(1, "pool") as pool:
            pool.submit(torch.ones, 4).result()
    trace = record.trace()

    assert {op.thread for op in launches(trace)} == {"main", "worker", "pool_0"}
    assert words(trace)[0] == "thread_start"
    assert "thread_join" in words(trace)
    signals = [op.obj for op in trace if op.word == "signal"]
    assert {op.obj for op in trace if op.word == "await"} <= {*signals}
    todo.put("late")
    assert todo.get() == "late"


def test_a_thread_of_before_is_a_gap(path: Path) -> None:
    fake = Fake()
    go, done = threading.Event(), threading.Event()

    def early() -> None:
        go.wait()
        fake.callbacks.memory_allocation(8192)
        done.set()

    thread = threading.Thread(target=early, name="early")
    thread.start()
    with recording(path, fake) as record:
        go.set()
        done.wait()
    thread.join()

    assert not record.trace().header.complete.accesses
    assert "thread early ran before" in record.trace().gaps[0].reason


def test_backward_is_the_caller_s(path: Path) -> None:
    fake = Fake()
    x = torch.ones(4, requires_grad=True)
    with recording(path, fake) as record:
        (x * 2).sum().backward()

    assert {op.thread for op in record.trace()} == {"main"}
    assert len(launches(record.trace())) >= 4


def test_an_error_in_a_callback_is_told(path: Path) -> None:
    fake = Fake()
    record = recording(path, fake)
    with pytest.raises(RecordError, match=r"a callback failed.*ValueError: no stream"):  # noqa: PT012,SIM117
        with record:
            fake.stream_facts = _fails  # type: ignore[method-assign]
            fake.callbacks.event_record(1, 77)

    assert not record.trace().header.complete.sync


def _fails(device: int, handle: int) -> Any:
    del device, handle
    raise ValueError("no stream")


def test_the_program_s_error_goes_first(path: Path) -> None:
    fake = Fake()
    with pytest.raises(ZeroDivisionError) as told, recording(path, fake):  # noqa: PT012
        fake.stream_facts = _fails  # type: ignore[method-assign]
        fake.callbacks.event_record(1, 77)
        1 / 0  # noqa: B018

    assert "a callback failed" in told.value.__notes__[0]
    assert streamsan.load(path).damage is None


def test_there_is_nothing_to_record_without_a_device() -> None:
    from streamsan.traces.recorder.live import start

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(RecordError, match=r"sees no CUDA device.*streamsan record --sim"):
        start.make(24, False)


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file"):
        recording(tmp_path / "no" / "a.trace.jsonl", Fake()).start()
    with pytest.raises(RecordError, match="No such file"):
        recording(tmp_path / "no" / "a.trace.jsonl", Fake(), ring=5).start()
    with recording(tmp_path / "a.trace.jsonl", Fake()):
        pass


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.trace.jsonl.gz", {}, "not compressed"),
        ("a.trace.jsonl", {"ring": 0}, "at least one op"),
        ("a.trace.jsonl", {"ring": 5, "profile": True}, "whole run"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, name: str, options: Any, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        streamsan.record(tmp_path / name, **options)


def test_stacks_can_be_left_out(path: Path) -> None:
    with recording(path, Fake(), stacks=0) as record:
        torch.ones(4)

    assert record.trace().header.sites == ()


def test_a_forked_child_leaves_the_file_alone(path: Path) -> None:
    with recording(path, Fake()) as record:
        torch.ones(4)
        child = os.fork()
        if not child:
            try:
                torch.ones(4)
                record.stop()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        torch.ones(4)

    assert len(launches(record.trace())) == 2
    gc.collect()


def test_a_recording_can_be_stopped_twice(path: Path) -> None:
    record = Recording(path, Session(Fake(), 24), None)
    record.start()
    record.stop()
    record.stop()

    assert len(record.trace()) == 0
