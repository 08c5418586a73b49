"""The recorder's own check against what CUPTI saw: real profiler files, recordings made to fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import streamsan
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.formats import save
from streamsan.traces.recorder.checked import check_file, checked
from streamsan.traces.recorder.matching import CALL, RANGE, File, match, read, works_of

DATA = Path(__file__).parent / "data" / "kineto"
MULTI, ALEXNET = "a100_cuda_sync_multi_stream", "a100_cuda_sync_alexnet"
ACTIVITIES = {"kernel": o.Launch, "gpu_memcpy": o.Memcpy, "gpu_memset": o.Memset}


def profiled(name: str) -> tuple[dict[str, Any], list[o.OpBase]]:
    """A real file with a range of ours around each innermost operator, and a recording to fit."""
    found = json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))
    events = found["traceEvents"]
    operators = [e for e in events if e.get("cat") == "cpu_op"]
    calls = {e["args"]["correlation"]: e for e in events if e.get("cat") == "cuda_runtime"}
    ops: list[o.OpBase] = []
    for number, operator in enumerate(operators):
        events.append({**operator, "cat": "user_annotation", "name": f"{RANGE}{number}"})
    for event in events:
        if event.get("cat") not in ACTIVITIES:
            continue
        call = calls[event["args"]["correlation"]]
        around = [i for i, each in enumerate(operators) if each["tid"] == call["tid"]
                  and each["ts"] <= call["ts"] <= each["ts"] + each["dur"]]  # fmt: skip
        inner = min(around, key=lambda i: operators[i]["dur"])
        stream = f"s{event['args']['stream']}"
        tag = {CALL: inner}
        if event["cat"] == "kernel":
            ops.append(o.Launch(stream=stream, name=event["name"], writes=("a",), tag=tag))
        elif event["cat"] == "gpu_memcpy":
            ops.append(o.Memcpy(stream=stream, src="h", dst="a", kind="H2D", tag=tag))
        else:
            ops.append(o.Memset(stream=stream, dst="a", tag=tag))
    return found, ops


def file_of(found: dict[str, Any]) -> File:
    return read(json.dumps(found).encode())


@pytest.mark.parametrize("name", [MULTI, ALEXNET])
def test_everything_matches(name: str) -> None:
    found, ops = profiled(name)
    matched = match(works_of(from_ops(ops)), file_of(found))

    assert matched.activities >= 6
    assert not matched.unmatched
    assert not matched.elsewhere
    assert len(matched.spans) >= 3


def test_ops_get_their_device_times() -> None:
    found, ops = profiled(MULTI)
    trace, _ = checked(from_ops(ops), file_of(found))
    kernels = [e for e in found["traceEvents"] if e.get("cat") == "kernel"]
    launches = [op for op in trace if op.word == "launch"]

    assert len(launches) == len(kernels) == 3
    for op, kernel in zip(launches, kernels, strict=True):
        fields = op.fields()
        assert abs(fields["begin"] - kernel["ts"] * 1000) < 500
        assert abs(fields["end"] - fields["begin"] - kernel["dur"] * 1000) < 500
    assert trace.header.complete == o.Complete()
    assert trace.gaps == ()


def test_what_was_not_recorded_is_listed_and_never_silently_clean(tmp_path: Path) -> None:
    found, ops = profiled(MULTI)
    path = tmp_path / "a.trace.jsonl"
    save(from_ops([op for op in ops if op.tag != ops[-1].tag]), path)
    matched = check_file(path, file_of(found))
    trace = streamsan.load(path)

    assert sum(matched.unmatched.values()) == 2
    assert "ampere_sgemm_128x64_nn" in matched.unmatched
    assert not trace.header.complete.accesses
    assert any("ampere_sgemm_128x64_nn, which is no recorded op" in gap.reason
               for gap in trace.gaps)  # fmt: skip
    assert "SO902" in {finding.rule for finding in streamsan.check(trace)}


def test_a_launch_outside_of_every_range_is_unmatched() -> None:
    found, ops = profiled(MULTI)
    found["traceEvents"] = [
        e for e in found["traceEvents"] if e.get("name") != f"{RANGE}{ops[0].tag[CALL]}"  # type: ignore[index]
    ]  # fmt: skip
    operators = [e for e in found["traceEvents"] if e.get("name", "").startswith(RANGE)]
    matched = match(works_of(from_ops(ops)), file_of(found))

    assert operators
    assert matched.unmatched
    assert matched.activities == 6


def test_work_on_another_stream_than_recorded_is_told() -> None:
    found, ops = profiled(ALEXNET)
    kernels = [e for e in found["traceEvents"] if e.get("cat") == "kernel"]
    alone = next(e for e in kernels if [op.name for op in ops].count(e["name"]) == 1)
    alone["args"]["stream"] = 999
    trace, matched = checked(from_ops(ops), file_of(found))

    assert sum(matched.elsewhere.values()) == 1
    assert not trace.header.complete.accesses


def test_other_threads_ranges_are_not_taken() -> None:
    found, ops = profiled(MULTI)
    for event in found["traceEvents"]:
        if event.get("name", "").startswith(RANGE):
            event["tid"] = 5
    matched = match(works_of(from_ops(ops)), file_of(found))

    assert not matched.spans
    assert sum(matched.unmatched.values()) == matched.activities


def test_times_are_relative_to_the_base() -> None:
    rows = [
        {"ph": "X", "cat": "user_annotation", "name": f"{RANGE}0", "pid": 1, "tid": 1, "ts": 1.0,
         "dur": 9.0},
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1,
         "ts": 2.0, "dur": 1.0, "args": {"correlation": 7}},
        {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 5.25, "dur": 1.5,
         "args": {"correlation": "7", "stream": 7, "device": 0}},
    ]  # fmt: skip
    found = {"baseTimeNanoseconds": 1_000_000, "traceEvents": rows}
    trace, _ = checked(
        from_ops([o.Launch(stream="s", writes=("a",), tag={CALL: 0})]), file_of(found)
    )

    assert trace[0].fields()["begin"] == 1_005_250
    assert trace[0].fields()["end"] == 1_006_750
