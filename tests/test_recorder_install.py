"""``streamsan.record`` on the simulated device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import streamsan
from streamsan import sim
from streamsan.traces.recorder.errors import RecordError

pytest.importorskip("torch")

import torch
from recorder_compare import differences
from sim_programs import PROGRAMS

sim.install()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_file_is_the_device_s_own_record(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    with sim.session(), streamsan.record(path) as recording:
        PROGRAMS[name][0](False)
        own = sim.trace()

    assert differences(own, streamsan.load(path)) == []
    assert len(recording.trace()) == len(streamsan.load(path))
    expected = PROGRAMS[name][2]
    assert expected & {finding.rule for finding in streamsan.check(recording.trace())}


def test_it_begins_in_the_middle(tmp_path: Path) -> None:
    with sim.session():
        early = torch.ones(4, device="simcuda")
        event = sim_device().Event()
        event.record()
        side = sim_device().Stream()
        with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
            side.wait_event(event)
            with sim_device().stream(side):
                late = early * 2
            during = recording.trace()
            sim_device().synchronize()
        del late
    known = {op.obj for op in recording.trace() if op.word == "malloc"}
    launch = next(op for op in recording.trace() if op.word == "launch")

    assert {*launch.fields()["reads"], *launch.fields()["writes"]} <= known
    assert "stream_create" in {op.word for op in recording.trace()}
    assert len(during) < len(recording.trace())
    assert not [f for f in streamsan.check(recording.trace()) if f.severity == "error"]


def test_sites_are_the_program_s(tmp_path: Path) -> None:
    with sim.session(), streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        torch.ones(4, device="simcuda")
    launch = next(op for op in recording.trace() if op.word == "launch")

    assert __file__ in launch.stack[0]


def test_annotations_arrive(tmp_path: Path) -> None:
    recording = streamsan.record(tmp_path / "a.trace.jsonl")
    with sim.session(), recording, streamsan.region("step", iteration=1), streamsan.named("pages"):
        torch.ones(4, device="simcuda")
    words = [op.word for op in recording.trace()]

    assert "region_begin" in words
    assert "region_end" in words
    assert any(op.obj == "pages" for op in recording.trace())


def test_a_new_session_makes_the_trace_incomplete(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl") as recording:
        torch.ones(4, device="simcuda")
        with sim.session():
            torch.ones(4, device="simcuda")
    trace = recording.trace()

    assert not trace.header.complete.accesses
    assert "a new run" in trace.gaps[0].reason


def test_recordings_do_not_nest(tmp_path: Path) -> None:
    with streamsan.record(tmp_path / "a.trace.jsonl"):
        with pytest.raises(RecordError, match=r"already recording to .*a\.trace\.jsonl"):
            streamsan.record(tmp_path / "b.trace.jsonl").start()
        torch.ones(4, device="simcuda")

    assert len(streamsan.load(tmp_path / "a.trace.jsonl")) >= 2
    with streamsan.record(tmp_path / "b.trace.jsonl"):
        pass


def test_the_program_s_own_error_comes_out_and_the_trace_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.jsonl"
    with pytest.raises(ZeroDivisionError), streamsan.record(path):  # noqa: PT012
        torch.ones(4, device="simcuda")
        1 / 0  # noqa: B018
    trace = streamsan.load(path)

    assert trace.damage is None
    assert [op.word for op in trace][-2:] != []


def test_a_device_without_a_record_is_refused(tmp_path: Path) -> None:
    with sim.session(record=False), pytest.raises(RecordError, match="record=False"):
        streamsan.record(tmp_path / "a.trace.jsonl").start()
    sim.install()
    with streamsan.record(tmp_path / "a.trace.jsonl"):
        pass


def test_there_is_no_profiler(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no profiler"):
        streamsan.record(tmp_path / "a.trace.jsonl", profile=True)


def sim_device() -> Any:
    return torch.get_device_module("simcuda")
