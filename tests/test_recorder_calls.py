"""Calls of torch that end below the dispatcher, as a CUDA build makes them; by the fake device."""

from __future__ import annotations

import _thread
import pickle
import threading
from pathlib import Path
from typing import Any, Self, cast

import pytest

import streamsan

pytest.importorskip("torch")

import torch
from recorder_fake import Fake, recording
from torch import profiler
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from streamsan.traces.recorder.live import compiled
from streamsan.traces.recorder.live.calls import elapsed
from streamsan.traces.recorder.live.cuda import Cuda
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.profiling import Profiler


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.trace.jsonl"


def words(trace: streamsan.Trace, *skipped: str) -> list[str]:
    return [op.word for op in trace if op.word not in ("malloc", "free", *skipped)]


def waiting_first(fake: Fake, plain: Any) -> Any:
    """A call within which torch waits for the default stream, and tells so before its copy."""

    def call(*args: Any, **kwargs: Any) -> Any:
        fake.callbacks.stream_synchronization(0)
        return plain(*args, **kwargs)

    return call


@pytest.mark.parametrize("name", ["tensor", "as_tensor", "asarray"])
def test_an_upload_of_values_is_one_op(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fake = Fake()
    monkeypatch.setattr(torch, name, waiting_first(fake, getattr(torch, name)))
    with recording(path, fake) as record:
        getattr(torch, name)([1, 2])
    (op,) = [op for op in record.trace() if op.word not in ("malloc", "free")]

    assert op.word == "memcpy"
    assert (op.bit("kind"), op.bit("wait")) == ("H2D", "stream")


def test_a_download_is_one_op(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    monkeypatch.setattr(torch.Tensor, "tolist", waiting_first(fake, torch.Tensor.tolist))
    a = torch.ones(4)
    with recording(path, fake) as record:
        a.tolist()

    assert words(record.trace()) == ["memcpy", "host_read"]


def test_a_wait_that_is_no_transfer_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(everything=False)
    monkeypatch.setattr(torch, "as_tensor", waiting_first(fake, torch.as_tensor))
    a = torch.ones(4)
    with recording(path, fake) as record:
        torch.as_tensor(a)

    assert words(record.trace()) == ["stream_synchronize"]


def test_repr_is_one_read(path: Path) -> None:
    a, large = torch.ones(4, 4), torch.ones(64, 64)
    with recording(path, Fake()) as record:
        repr(a)
        repr(large)
    copies = [op.fields() for op in record.trace() if op.word == "memcpy"]

    assert [(each["via"], each["src"]) for each in copies] == [("repr", "d1"), ("repr", "d2")]


def test_pickling_copies_nothing_itself(path: Path) -> None:
    a = torch.ones(4)
    with recording(path, Fake()) as record:
        pickle.dumps(a)

    assert "memcpy" not in words(record.trace())


def test_memory_of_a_declared_kernel_is_its_own(path: Path) -> None:
    fake = Fake()
    a = torch.ones(4)
    made: list[torch.Tensor] = []

    def run() -> None:
        fake.callbacks.memory_allocation(4096)
        fake.callbacks.memory_deallocation(4096)
        made.append(torch.ones(8))
        fake.callbacks.memory_allocation(made[0].data_ptr())

    with recording(path, fake) as record:
        streamsan.kernel("mine", run, reads=[a])
        made[0].add_(1)
    told = [(op.obj, op.fields().get("bytes")) for op in record.trace() if op.word == "malloc"]

    assert told == [("d1", 16), ("d2", 32)]


@pytest.mark.parametrize(("accumulate", "waits"), [(False, False), (True, True)])
def test_a_number_by_a_mask_is_a_fill(path: Path, accumulate: bool, waits: bool) -> None:
    fake = Fake(everything=False)
    number = fake.pageable(1)
    a = torch.ones(4)
    mask = a > 0
    with recording(path, fake) as record:
        a.index_put_((mask,), number, accumulate)

    assert ("memcpy" in words(record.trace())) is waits


def test_a_mask_of_the_host_is_no_download(path: Path) -> None:
    fake = Fake(everything=False)
    a, mask = torch.ones(4), fake.pageable(4) > 0
    fake._on_host(mask, set())
    with recording(path, fake) as record:
        a[mask]

    assert words(record.trace()) == ["launch"]


def test_a_value_is_moved_before_its_indices(path: Path) -> None:
    fake = Fake(everything=False)
    value, index = fake.pageable(1)[0], torch.zeros(2, dtype=torch.long)
    fake._on_host(index, set())
    a = torch.ones(4)
    plain = torch.ops.aten.index_put_.default
    op = plain._op

    def moving(*args: Any, **kwargs: Any) -> Any:
        fake.callbacks.memory_allocation(4096)
        fake.callbacks.memory_allocation(8192)
        return op(*args, **kwargs)

    with recording(path, fake) as record:
        plain._op = moving
        try:
            a.index_put_((index,), value)
        finally:
            plain._op = op
    trace = record.trace()
    sizes = {op.obj: op.fields().get("bytes") for op in trace if op.word == "malloc"}
    copies = [sizes[op.fields()["dst"]] for op in trace if op.word == "memcpy"]

    assert copies == [4, 16]


class Event:
    """An event whose handle is made when it is recorded, as those of torch are."""

    fake: Any
    cuda_event = 0

    def __new__(cls) -> Self:
        return super().__new__(cls)

    def record(self) -> None:
        if not self.cuda_event:
            self.cuda_event = id(self)
            self.fake.callbacks.event_creation(self.cuda_event)
        self.fake.callbacks.event_record(self.cuda_event, 0)

    def query(self) -> bool:
        return True

    def elapsed_time(self, end_event: Event) -> float:
        return float(end_event.cuda_event - self.cuda_event)


class EventFake(Fake):
    event_types = (Event,)  # type: ignore[assignment]

    def extras(self, observer: Any) -> Any:
        patches = Patches()
        patches.wrap(Event, "elapsed_time", elapsed(observer))
        return patches.undo


def test_an_event_bears_the_name_it_was_made_under(path: Path) -> None:
    fake = Event.fake = EventFake()
    with recording(path, fake) as record:
        with streamsan.named("ready"):
            first = Event()
        second = Event()
        with streamsan.named("elsewhere"):
            first.record()
        second.record()
        first.record()
    told = [op.obj for op in record.trace() if op.word == "event_record"]

    assert told == ["ready", "e1", "ready"]


def test_a_time_between_events_tells_that_they_are_done(path: Path) -> None:
    fake = Event.fake = EventFake()
    with recording(path, fake) as record:
        begin, end = Event(), Event()
        begin.record()
        end.record()
        begin.elapsed_time(end)
    told = [(op.obj, op.bit("result")) for op in record.trace() if op.word == "event_query"]

    assert told == [("e1", "success"), ("e2", "success")]


def test_what_is_freed_while_a_recording_begins_is_no_stray(path: Path) -> None:
    class Early(Fake):
        def listen(self, callbacks: Any) -> Any:
            callbacks.memory_deallocation(4096)
            return super().listen(callbacks)

    with recording(path, Early()) as record:
        pass

    assert record.trace().gaps == ()


def test_gradients_that_change_streams_are_guarded(path: Path) -> None:
    """What the engine's thread does between two nodes on different streams."""
    fake = Fake()
    x = torch.ones(4, requires_grad=True)
    done = threading.Event()

    def engine() -> None:
        with fake.stream(77):
            fake.callbacks.memory_allocation(4096)
        fake.callbacks.event_record(1, 77)
        fake.callbacks.event_wait(1, 0)
        fake.callbacks.memory_deallocation(4096)
        done.set()

    def hook(_: torch.Tensor) -> None:
        _thread.start_new_thread(engine, ())
        done.wait()

    y: Any = x * 2
    y.register_hook(hook)
    with recording(path, fake) as record:
        y.sum().backward()
    told = [op.fields() for op in record.trace() if op.word == "record_stream"]
    owners = {op.obj: op.fields()["stream"] for op in record.trace()
              if op.word == "malloc" and op.extras.get("address") == 4096}  # fmt: skip

    assert [(each["buffer"], each["stream"]) for each in told] == [(*owners, "0")]


def test_what_has_no_storage_is_left_out(path: Path) -> None:
    with FakeTensorMode():
        a = torch.ones(4)
    with recording(path, Fake()) as record:
        torch.eye(3).to_sparse().coalesce()
        (a + 1).untyped_storage()
    gaps = [gap.reason for gap in record.trace().gaps]

    assert gaps == ["what ops do with tensors of layout sparse_coo"]


def test_a_number_in_place_of_a_tensor(path: Path) -> None:
    a = torch.ones(4)
    with recording(path, Fake()) as record:
        torch.vmap(lambda t: t * 2)(a)

    assert "launch" in words(record.trace())


def test_programs_are_compiled_while_they_are_recorded(path: Path) -> None:
    torch._dynamo.reset()
    seen: list[list[str]] = []

    def backend(graph: Any, _: Any) -> Any:
        seen.append([node.name for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    def program(a: torch.Tensor) -> torch.Tensor:
        return torch.relu(a) + 1

    a = torch.ones(4)
    with recording(path, Fake()) as record:
        torch._dynamo.optimize(backend)(program)(a)

    assert seen == [["relu", "add"]]
    assert [op.name for op in record.trace() if op.word == "launch"] == ["relu", "add"]


def test_checkpoints_recompute_to_the_end(path: Path) -> None:
    """Torch's GPU trace would make a SystemError of the exception by which they stop early."""
    a = torch.ones(4, requires_grad=True)
    with recording(path, Fake()) as record:
        made: Any = checkpoint(lambda t: (t * 2).relu().view(2, 2) + 1, a, use_reentrant=False)
        made.sum().backward()
    names = [op.name for op in record.trace() if op.word == "launch"]

    assert names.count("add") == 2


class CachingAutotuner:
    """Inductor's, as far as a recording sees it."""

    mutated_arg_names = ("in_out_ptr0",)

    class Function:
        arg_names = ("in_out_ptr0", "in_ptr0", "out_ptr0", "xnumel")

    fn = Function()

    def run(self, *args: Any) -> None: ...


def test_inductor_s_names_tell_reads_from_writes(path: Path) -> None:
    class CompiledFake(Fake):
        def extras(self, observer: Any) -> None:
            CachingAutotuner.run = compiled.launching(observer, CachingAutotuner.run)  # type: ignore[method-assign]

    a, b, c = torch.ones(1), torch.ones(2), torch.ones(3)
    with recording(path, CompiledFake()) as record:
        CachingAutotuner().run(a, b, c, 4)
    (op,) = [op.fields() for op in record.trace() if op.word == "launch"]

    assert op["reads"] == ("d1", "d2")
    assert op["writes"] == ("d1", "d3")


def test_sleeping_is_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "_sleep", lambda _: None)

    class SleepyFake(Fake):
        def extras(self, observer: Any) -> Any:
            return compiled.watch(observer)

    fake, cuda = SleepyFake(), cast("Any", torch.cuda)
    with recording(path, fake) as record, fake.stream(7):
        cuda._sleep(100)
    (op,) = [op for op in record.trace() if op.word == "launch"]

    assert (op.name, op.stream) == ("sleep", "s1")


def test_the_profiler_does_not_warn_of_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def profile(activities: Any, experimental_config: Any = None, acc_events: bool = False) -> None:
        given.update(activities=activities, config=experimental_config, acc_events=acc_events)

    monkeypatch.setattr(profiler, "profile", profile)
    Profiler()

    assert given["acc_events"]


def test_an_allocator_without_a_snapshot_has_no_earlier_blocks() -> None:
    def refuses() -> Any:
        raise RuntimeError("Calling snapshot with backend:cudaMallocAsync is not meaningful.")

    platform = Cuda.__new__(Cuda)
    platform._snapshot = refuses

    assert platform.live_blocks() == {}


def test_a_failed_op_silences_the_platform_until_the_next(path: Path) -> None:
    """Torch's GPU trace, called while an exception is pending, makes a SystemError of it."""

    told: list[bool] = []

    class Muted(Fake):
        def mute(self, silent: bool) -> None:
            told.append(silent)

    fake = Muted()
    a = torch.ones(4)
    with recording(path, fake) as record:
        fake.callbacks.memory_allocation(4096)
        with pytest.raises(RuntimeError):
            a + torch.ones(3)
        a.add_(1)
    freed = [op for op in record.trace() if op.word == "free"]

    assert told == [True, False]
    assert len(freed) == 2
