"""Streams, events, memory, threads and host accesses on the simulated device."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import streamsan
from streamsan import sim
from streamsan.traces import ops as o

torch = pytest.importorskip("torch")

sim.install()
DEVICE = "simcuda"
POLICIES = ["eager", "lazy", "timed", *(f"random({seed})" for seed in range(8)), "pct(3,2)"]
m: Any = torch.get_device_module(DEVICE)


def hazards(run: sim.Run) -> list[streamsan.Finding]:
    assert run.trace is not None
    return [f for f in streamsan.check(run.trace) if not f.rule.startswith("SO4")]


def backward_on_a_side_stream() -> Any:
    weight = torch.ones(2, 2, device=DEVICE, requires_grad=True)
    side, main = m.Stream(), m.current_stream()
    side.wait_stream(main)
    with m.stream(side):
        hidden = (weight @ weight).relu()
    main.wait_stream(side)
    hidden.record_stream(main)
    (hidden * 2).sum().backward()
    assert weight.grad is not None
    return weight.grad.tolist()


def download_worker() -> Any:
    work: queue.Queue[Any] = queue.Queue()
    done: queue.Queue[Any] = queue.Queue()
    side = m.Stream()

    def run() -> None:
        while (given := work.get()) is not None:
            value, ready = given
            host = torch.empty(3, pin_memory=True)
            with m.stream(side):
                side.wait_event(ready)
                host.copy_(value, non_blocking=True)
                value.record_stream(side)
                finished = m.Event()
                finished.record()
            finished.synchronize()
            done.put(host)

    thread = threading.Thread(target=run)
    thread.start()
    found = []
    for step in range(3):
        value = torch.arange(3.0, device=DEVICE) + step
        ready = m.Event()
        ready.record()
        work.put((value, ready))
        del value
        found.append(done.get().tolist())
    work.put(None)
    thread.join()
    return found


def thread_pool() -> Any:
    def one(number: int) -> Any:
        return (torch.full((2,), float(number), device=DEVICE) * 2).cpu().tolist()

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(one, range(5)))


def peer_copy() -> Any:
    return (torch.arange(4.0, device="simcuda:0") * 2).to("simcuda:1").add(1).tolist()


def polling() -> Any:
    host = torch.zeros(3, pin_memory=True)
    host.copy_(torch.arange(3.0, device=DEVICE), non_blocking=True)
    event = m.Event()
    event.record()
    while not event.query():
        pass
    return host.tolist()


def dropped_staging() -> Any:
    parts = [
        torch.full((2,), float(step)).pin_memory().to(DEVICE, non_blocking=True)
        for step in range(4)
    ]
    return torch.cat(parts).tolist()


def dropout_on_two_streams() -> Any:
    streams = m.Stream(), m.Stream()
    parts = []
    for stream in streams:
        with m.stream(stream):
            parts.append(torch.nn.functional.dropout(torch.ones(8, device=DEVICE), 0.5))
    for stream, part in zip(streams, parts, strict=True):
        m.current_stream().wait_stream(stream)
        part.record_stream(m.current_stream())
    return torch.cat(parts).tolist()


PROGRAMS: list[Callable[[], Any]] = [
    backward_on_a_side_stream, download_worker, thread_pool, peer_copy, polling, dropped_staging,
    dropout_on_two_streams,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_correct_program_has_one_outcome_and_is_silent(program: Callable[[], Any]) -> None:
    runs = [sim.run(program, policy) for policy in POLICIES]
    assert all(run.value == runs[0].value for run in runs)
    assert all(hazards(run) == [] for run in runs)


def test_importing_never_imports_torch() -> None:
    code = "import sys, streamsan.sim; dir(streamsan.sim); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torch_the_answer_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from streamsan import sim\n"
        "try: sim.install\n"
        "except sim.SimulationError as error: assert 'streamsan[torch]' in str(error)\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_installing_again_begins_a_new_run() -> None:
    torch.ones(2, device=DEVICE)
    sim.install("lazy", devices=3)
    assert m.device_count() == 3
    assert sim.schedule() == "replay()"
    sim.install()


def test_streams_are_distinct_and_come_round_again() -> None:
    with sim.session():
        streams = [m.Stream() for _ in range(33)]
        assert len(set(streams)) == 32
        assert streams[0] == streams[32]
        assert m.Stream(priority=-1).priority == -1
        assert m.current_stream() == m.default_stream() != streams[0]
        with streams[0]:
            assert m.current_stream() == torch.accelerator.current_stream() == streams[0]
        assert m.current_stream() == m.default_stream()
        assert isinstance(torch.Stream(), m.Stream)
        assert isinstance(torch.Event(), m.Event)


def test_the_current_stream_belongs_to_the_thread() -> None:
    seen: list[Any] = []
    with sim.session(), m.stream(m.Stream()):
        thread = threading.Thread(target=lambda: seen.append(m.current_stream()))
        thread.start()
        thread.join()
        assert seen == [m.default_stream()]


def test_events_take_simulated_time() -> None:
    with sim.session("lazy"):
        start, end = m.Event(enable_timing=True), m.Event(enable_timing=True)
        start.record()
        torch.ones(4, device=DEVICE).add_(1)
        end.record()
        with pytest.raises(RuntimeError, match="completed"):
            start.elapsed_time(end)
        end.synchronize()
        assert 0 < start.elapsed_time(end) < 1
        assert m.Event().query()


def test_memory_is_reused_at_once_on_its_stream_and_withheld_for_others() -> None:
    with sim.session("lazy"):
        first = torch.ones(4, device=DEVICE)
        address = first.data_ptr()
        del first
        second = torch.ones(4, device=DEVICE)
        assert second.data_ptr() == address
        side = m.Stream()
        side.wait_stream(m.current_stream())
        with m.stream(side):
            other = second + 1
        second.record_stream(side)
        del second
        third = torch.ones(4, device=DEVICE)
        assert third.data_ptr() != address
        side.synchronize()
        fourth = torch.ones(4, device=DEVICE)
        assert fourth.data_ptr() == address
        assert other.tolist() == [2.0] * 4


def test_new_and_freed_memory_is_poisoned() -> None:
    with sim.session():
        assert torch.empty(3, device=DEVICE).isnan().all()
        assert torch.empty(3, dtype=torch.int64, device=DEVICE).tolist() == [-1] * 3
        block = torch.ones(3, device=DEVICE)
        del block
        assert torch.empty(3, device=DEVICE).isnan().all()
        assert torch.empty(3, pin_memory=True).isnan().all()


def test_memory_runs_out_in_torchs_own_way() -> None:
    with sim.session(memory=4 << 20), pytest.raises(torch.OutOfMemoryError):
        torch.empty(64 << 20, device=DEVICE)
    sim.install()


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(3, pin_memory=True),
        lambda: torch.zeros(3, pin_memory=True),
        lambda: torch.tensor([1, 2, 3], pin_memory=True),
        lambda: torch.arange(3, pin_memory=True),
        lambda: torch.randn(3, pin_memory=True)[1:],
        lambda: torch.ones(3).pin_memory(),
        lambda: torch.empty_like(torch.ones(3), pin_memory=True),
        lambda: torch.empty_strided((3,), (1,), pin_memory=True),
        lambda: torch.ones(3).new_zeros(3, pin_memory=True),
        lambda: torch.ones(3, device=DEVICE).to("cpu", non_blocking=True),
    ],
)
def test_pinned_memory(make: Callable[[], torch.Tensor]) -> None:
    assert make().is_pinned()


def test_ordinary_memory_is_not_pinned() -> None:
    assert not torch.ones(3).is_pinned()
    assert not torch.ones(3, device=DEVICE).is_pinned()
    assert not torch.ones(3, device=DEVICE).cpu().is_pinned()
    assert not (torch.ones(3).pin_memory() + 1).is_pinned()


READS: dict[str, Callable[[Any], object]] = {
    "item": lambda h: h[1].item(),
    "int": lambda h: int(h[0]),
    "bool": lambda h: bool(h[0]),
    "tolist": lambda h: h.tolist(),
    "repr": repr,
    "format": lambda h: f"{h[0]}",
    "iterate": lambda h: [value + 1 for value in h],
    "add": lambda h: h + 1,
    "stack": lambda h: torch.stack([h, h]),
    "equal": lambda h: torch.equal(h, h),
    "pickle": lambda h: h.__reduce_ex__(2),
    "clone": lambda h: h.clone(),
    "mask": lambda h: h[h > 0],
    "array_copy": lambda h: h.__array__(copy=True),
}


@pytest.mark.parametrize("name", READS)
def test_host_reads_are_seen(name: str) -> None:
    def program() -> None:
        host = torch.empty(3, pin_memory=True)
        host.fill_(1.0)
        host.copy_(torch.arange(3.0, device=DEVICE), non_blocking=True)
        READS[name](host)

    assert "SO111" in {f.rule for f in hazards(sim.run(program))}


@pytest.mark.parametrize("name", ["numpy", "__array__", "__dlpack__", "data_ptr"])
def test_what_leaves_our_sight_is_an_escape(name: str) -> None:
    def leave() -> None:
        getattr(torch.ones(3).pin_memory(), name)()

    run = sim.run(leave)
    assert run.trace is not None
    assert o.WORDS.index("host_escape") in run.trace.kind.tolist()


def test_views_are_no_accesses() -> None:
    def program() -> None:
        host = torch.zeros(4, pin_memory=True)
        host.copy_(torch.arange(4.0, device=DEVICE), non_blocking=True)
        parts = host.view(2, 2).unbind(0)
        m.synchronize()
        assert parts[1].tolist() == [2.0, 3.0]

    assert hazards(sim.run(program, "lazy")) == []


def test_columns_of_one_buffer_do_not_conflict() -> None:
    def program() -> Any:
        table = torch.zeros(4, 2, device=DEVICE)
        streams = m.Stream(), m.Stream()
        for column, stream in enumerate(streams):
            stream.wait_stream(m.default_stream())
            with m.stream(stream):
                table[:, column].fill_(float(column + 1))
            m.default_stream().wait_stream(stream)
        return table.tolist()

    run = sim.run(program)
    assert hazards(run) == []
    assert run.value == [[1.0, 2.0]] * 4


def test_a_failing_kernel_is_told_at_a_later_call() -> None:
    with sim.session("lazy"):
        found = torch.ones(3, device=DEVICE).index_select(0, torch.tensor([7], device=DEVICE))
        with pytest.raises(sim.KernelError, match="index_select"):
            m.synchronize()
        del found


def test_tensors_and_events_live_on_in_the_next_run() -> None:
    weight = torch.ones(3, device=DEVICE)
    event = m.Event()
    event.record()

    def program() -> Any:
        m.current_stream().wait_event(event)
        return (weight * 2).tolist()

    run = sim.run(program, "lazy")
    assert run.value == [2.0] * 3
    assert hazards(run) == []


def test_a_thread_lives_on_in_the_next_run() -> None:
    with ThreadPoolExecutor(1) as pool:
        for policy in ("lazy", "eager", "lazy"):
            run = sim.run(lambda: pool.submit(polling).result(), policy)
            assert run.value == [0.0, 1.0, 2.0]
            assert hazards(run) == []


def test_hand_written_kernels_are_annotated() -> None:
    def program(synced: bool) -> Any:
        side = m.Stream()
        given, out = torch.ones(3, device=DEVICE), torch.zeros(3, device=DEVICE)
        m.synchronize()
        with m.stream(side):
            sim.kernel("triple", [given], [out], lambda x, y: y.copy_(x * 3))
        if synced:
            side.synchronize()
        return out.tolist()

    assert sim.run(lambda: program(True), "lazy").value == [3.0] * 3
    assert hazards(sim.run(lambda: program(True))) == []
    assert "SO101" in {f.rule for f in hazards(sim.run(lambda: program(False)))}
    assert sim.run(lambda: program(False), "lazy").value == [0.0] * 3


def test_custom_ops_go_by_their_schema() -> None:
    @torch.library.custom_op("streamsan_test::scale", mutates_args=("out",))
    def scale(given: torch.Tensor, out: torch.Tensor) -> None:
        out.copy_(given * 2)

    @torch.library.custom_op("streamsan_test::twice", mutates_args=())
    def twice(given: torch.Tensor) -> torch.Tensor:
        return given * 2

    with sim.session("lazy"):
        out = torch.zeros(3, device=DEVICE)
        scale(torch.ones(3, device=DEVICE), out)
        assert twice(out).tolist() == [4.0] * 3


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.ones(2, device=DEVICE).untyped_storage(),
        lambda: torch.ones(2, device=DEVICE).__dlpack__(),
        lambda: m.Event(interprocess=True),
    ],
)
def test_what_is_not_supported_says_so(call: Callable[[], object]) -> None:
    with pytest.raises(sim.UnsupportedError, match="simcuda does not support"):
        call()


def test_devices_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(2, device=DEVICE) + torch.ones(2)
    with pytest.raises(TypeError, match=r"Tensor.cpu\(\)"):
        torch.ones(2, device=DEVICE).numpy()


@pytest.mark.parametrize("text", ["", "never", "random(x)", "directed()", "replay(1)", "pct(0,1)"])
def test_a_schedule_that_is_none(text: str) -> None:
    with pytest.raises(sim.ScheduleError):
        sim.run(lambda: None, text)


def test_autocast_follows_cudas_lists() -> None:
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        low = torch.ones(2, 2, device=DEVICE) @ torch.ones(2, 2, device=DEVICE)
        assert low.dtype is torch.bfloat16
        assert low.softmax(-1).dtype is torch.float32


def test_seeds_are_drawn_at_the_launch() -> None:
    def program() -> Any:
        torch.manual_seed(3)
        return torch.randn(3, device=DEVICE).tolist()

    assert len({str(sim.run(program, policy).value) for policy in POLICIES}) == 1


def test_what_one_session_was_told_is_not_for_the_next() -> None:
    assert sim.run(lambda: None, record=False).trace is None
    assert sim.run(lambda: None).trace is not None


def test_a_time_that_was_told_proves_that_both_events_are_done() -> None:
    with sim.session("lazy") as run:
        begin, end = (torch.simcuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        torch.ones(4, device="simcuda")
        end.record()
        end.synchronize()
        begin.elapsed_time(end)
    assert run.trace is not None
    answers = [(op.obj, op.fields()["result"]) for op in run.trace if op.word == "event_query"]
    assert [result for _, result in answers] == ["success", "success"]
    assert len({event for event, _ in answers}) == 2
