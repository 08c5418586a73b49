"""What the calls of ROCm add to the copies of a profiler file."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streamsan.traces.errors import TraceError
from streamsan.traces.formats import load
from streamsan.traces.model import Op
from streamsan.traces.ops import Kind

DATA = Path(__file__).parent / "data" / "kineto"
NAMES = ("mi250_rocm62_minitoy", "mi300_sglang_hipgraph_decode")
KINDS = {"1": "H2D", "2": "D2H", "3": "D2D"}


def copies(data: bytes) -> list[Op]:
    return [op for op in load(data) if op.kind == Kind.MEMCPY]


@pytest.mark.parametrize("name", NAMES)
def test_recorded_copies_have_the_bytes_direction_and_addresses_of_their_calls(name: str) -> None:
    data = gzip.decompress((DATA / f"{name}.json.gz").read_bytes())
    rows = sorted(
        (e["args"] for e in json.loads(data)["traceEvents"]
         if e.get("cat") == "cuda_runtime" and "Memcpy" in e["name"]),
        key=lambda args: args["correlation"],
    )  # fmt: skip
    assert rows
    expected = [
        (KINDS[a["kind"]], int(a.get("bytes") or a["size"]), int(a["src"], 16), int(a["dst"], 16))
        for a in rows
    ]

    found = [
        (op.bit("kind"), *(op.extras[key] for key in ("bytes", "src_address", "dst_address")))
        for op in copies(data)
    ]
    assert found == expected


def test_a_recorded_copy_without_bytes_of_its_own_gets_those_of_its_call() -> None:
    data = gzip.decompress((DATA / f"{NAMES[0]}.json.gz").read_bytes())
    events = [e for e in json.loads(data)["traceEvents"] if e.get("cat") == "gpu_memcpy"]

    assert not any("bytes" in e["args"] for e in events)
    assert [op.extras["bytes"] for op in copies(data)] == [2560, 2560]


def document(api: str, name: str, **args: Any) -> bytes:
    call = {"ph": "X", "cat": "cuda_runtime", "name": api, "pid": 1, "tid": 2, "ts": 1, "dur": 1,
            "args": {"correlation": 5, **args}}  # fmt: skip
    work = {"ph": "X", "cat": "gpu_memcpy", "name": name, "pid": 0, "tid": 0, "ts": 3, "dur": 1,
            "args": {"device": 0, "stream": 0, "correlation": 5}}  # fmt: skip
    return json.dumps({"schemaVersion": 1, "traceEvents": [call, work]}).encode()


@pytest.mark.parametrize(
    ("api", "kind", "found"),
    [
        ("hipMemcpyAsync", "1", ("H2D", "kineto:pinned", "kineto:device")),
        ("hipMemcpyAsync", 2, ("D2H", "kineto:device", "kineto:pinned")),
        ("hipMemcpyAsync", "3", ("D2D", "kineto:device", "kineto:device")),
        ("hipMemcpyAsync", "4", ("D2D", "kineto:device", "kineto:device")),
        ("cudaMemcpyAsync", "1", ("D2D", "kineto:device", "kineto:device")),
    ],
)
def test_a_call_says_what_a_copy_from_pinned_memory_is(
    api: str, kind: Any, found: tuple[str, str, str]
) -> None:
    (op,) = copies(document(api, "Memcpy DtoD (Device -> Device)", kind=kind))
    fields = op.fields()

    assert (op.bit("kind"), fields["src"][0], fields["dst"][0]) == found


def test_a_download_by_a_blocking_call_waits() -> None:
    (op,) = copies(document("hipMemcpy", "Memcpy DtoD (Device -> Device)", kind="2"))

    assert (op.bit("async_"), op.bit("wait")) == (False, "stream")


@pytest.mark.parametrize(
    "args",
    [{"src": "x", "dst": ""}, {"src": "-0x1", "dst": "0x0"}, {"src": "0x" + "f" * 40, "dst": None},
     {"bytes": "-1"}, {"size": str(2**60)}],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(args: dict[str, Any]) -> None:
    (op,) = copies(document("hipMemcpyAsync", "Memcpy DtoD (Device -> Device)", **args))

    assert not op.extras


def test_the_json_of_rocprofiler_is_refused_with_a_reason() -> None:
    with pytest.raises(TraceError, match="a rocprofiler trace"):
        load(json.dumps({"rocprofiler-sdk-tool": []}).encode())
