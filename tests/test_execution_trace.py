"""Execution traces joined to profiler files: whose reads and writes they are, and what follows.

Expected values are found in the two raw files by code of this file.
"""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streamsan.checkers.engine import check
from streamsan.checkers.settings import Settings
from streamsan.checkers.unresolved import unresolved_waits
from streamsan.cli import main
from streamsan.traces.errors import TraceError
from streamsan.traces.formats import load
from streamsan.traces.formats.execution_trace import Tensor, load_execution, load_joined
from streamsan.traces.model import Op, Trace
from streamsan.traces.ops import Kind

DATA = Path(__file__).parent / "data" / "et"
KINETO, ET = (str(DATA / f"megatron_tp8_rank0_{kind}.json.gz") for kind in ("kineto", "et"))
OTHER = str(DATA / "linear_et.json.gz")
WORK = (Kind.LAUNCH, Kind.MEMCPY, Kind.MEMSET)


def raw(path: str) -> Any:
    return json.loads(gzip.decompress(Path(path).read_bytes()))


def known(op: Op) -> bool:
    trace = op.trace
    names = [trace.names[int(trace.ranges.name[a.range])] for a in op.accesses]
    return any(name.startswith("et:") for name in names)


def share(trace: Trace) -> str:
    (found,) = [g.reason for g in trace.gaps if g.reason.startswith("device work whose reads")]
    return found[found.index("(") :]


# Synthetic pairs


def tensor(storage: int, offset: int = 0, count: int = 4, device: str = "cuda:0") -> list[Any]:
    return [100 + storage, storage, offset, count, 4, device]


def node(key: int, name: str, inputs: list[Any], outputs: list[Any], schema: str) -> dict[str, Any]:
    return {"name": name, "id": key + 1, "rf_id": key, "op_schema": schema, "inputs": inputs,
            "outputs": outputs}  # fmt: skip


def chakra(found: dict[str, Any]) -> dict[str, Any]:
    """Give a node as newer recorders write it."""
    return {
        "name": found["name"], "id": found["id"], "ctrl_deps": 1,
        "inputs": {"values": found["inputs"], "shapes": [], "types": []},
        "outputs": {"values": found["outputs"], "shapes": [], "types": []},
        "attrs": [{"name": key, "type": "", "value": found[key]} for key in ("rf_id", "op_schema")],
    }  # fmt: skip


def event(cat: str, name: str, ts: int, dur: int, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 2, "ts": ts, "dur": dur,
            "args": args}  # fmt: skip


def work(name: str, key: int, stream: int = 7, cat: str = "kernel") -> dict[str, Any]:
    return event(cat, name, 100 + key, 1, device=0, context=1, stream=stream, correlation=key)


def called(name: str, key: int, ts: int) -> dict[str, Any]:
    return event("cuda_runtime", name, ts, 1, correlation=key)


ADD = "aten::add_(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)"
OPERATORS = [
    ("aten::add_", [tensor(1), tensor(2), 1], [tensor(1)], ADD),
    ("aten::mul", [tensor(1, 2, 1), 2], [tensor(3)],
     "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor"),
    ("aten::copy_", [tensor(3), tensor(4, device="cpu"), False], [tensor(3)],
     "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)"),
]  # fmt: skip


def pair(
    folder: Path, *, ids: bool = True, newer: bool = False, streams: tuple[int, ...] = (7, 7, 7),
    between: list[dict[str, Any]] | None = None, drop: int | None = None,
) -> tuple[str, str]:  # fmt: skip
    """Write a profiler file of three operators with one device op each, and its trace."""
    events: list[dict[str, Any]] = list(between or ())
    for key, (name, _, _, _) in enumerate(OPERATORS, 1):
        args = {"Record function id": key} if ids else {}
        events.append(event("cpu_op", name, 10 * key, 8, **args))
        call = "cudaMemcpyAsync" if "copy" in name else "cudaLaunchKernel"
        events.append(called(call, 10 * key, 10 * key + 2))
        cat, what = ("gpu_memcpy", "Memcpy HtoD (Pinned -> Device)") if "copy" in name else (
            "kernel", "k")  # fmt: skip
        events.append(work(what, 10 * key, streams[key - 1], cat))
    nodes = [node(key, *found) for key, found in enumerate(OPERATORS, 1) if key != drop]
    if newer:
        nodes = [chakra(found) for found in nodes]
    paths = folder / "kineto.json", folder / "et.json"
    paths[0].write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    paths[1].write_text(json.dumps({"schema": "1.1.0-chakra.0.0.4", "nodes": nodes}))
    return str(paths[0]), str(paths[1])


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("ids", [False, True])
def test_device_work_gets_what_its_operator_reads_and_writes(
    ids: bool, newer: bool, tmp_path: Path
) -> None:
    trace = load_joined(*pair(tmp_path, ids=ids, newer=newer))
    add, mul, copy = (op.fields() for op in trace if op.kind in WORK)

    one, two, three = (f"et:cuda:0:{n}" for n in (1, 2, 3))
    assert add["reads"] == ((one, 0, 16), (two, 0, 16))
    assert add["writes"] == ((one, 0, 16),)
    assert mul["reads"] == ((one, 8, 4),)
    assert mul["writes"] == ((three, 0, 16),)
    assert (copy["src"], copy["dst"]) == (("et:cpu:4", 0, 16), (three, 0, 16))
    assert share(trace) == "(it holds those of 3 of 3)"


def test_a_call_on_a_thread_that_the_recorder_named_otherwise(tmp_path: Path) -> None:
    path, et = pair(tmp_path)
    shape = json.loads(Path(path).read_text())
    for each in shape["traceEvents"]:
        if each["cat"] == "cuda_runtime":
            each["tid"] = -549452224
    Path(path).write_text(json.dumps(shape))

    assert share(load_joined(path, et)) == "(it holds those of 3 of 3)"


def test_a_kernel_touches_no_tensor_of_the_host(tmp_path: Path) -> None:
    path, et = pair(tmp_path)
    execution = json.loads(Path(et).read_text())
    execution["nodes"][0]["inputs"][1] = tensor(2, device="cpu")
    Path(et).write_text(json.dumps(execution))
    add = next(op for op in load_joined(path, et) if op.kind == Kind.LAUNCH).fields()

    assert add["reads"] == (("et:cuda:0:1", 0, 16),)


def test_host_memory_is_what_the_copy_says(tmp_path: Path) -> None:
    trace = load_joined(*pair(tmp_path))

    spaces = {op.obj: op.bit("space") for op in trace if op.kind == Kind.MALLOC}
    assert spaces["et:cpu:4"] == "pinned"
    assert spaces["et:cuda:0:1"] in (None, "device")


def test_an_operator_that_the_trace_lacks_leaves_its_work_unknown(tmp_path: Path) -> None:
    trace = load_joined(*pair(tmp_path, ids=False, drop=2))

    assert [known(op) for op in trace if op.kind in WORK] == [True, False, True]
    assert share(trace) == "(it holds those of 2 of 3)"


def test_a_hazard_of_a_profile_is_found(tmp_path: Path) -> None:
    trace = load_joined(*pair(tmp_path, streams=(7, 20, 20)))
    found = {f.rule: f for f in check(trace).findings}

    assert found["SO101"].buffer == "et:cuda:0:1"
    assert found["SO101"].range == (8, 4)
    assert found["SO101"].confidence == "possible"


def test_without_the_execution_trace_it_is_not_seen(tmp_path: Path) -> None:
    path, _ = pair(tmp_path, streams=(7, 20, 20))

    assert not [f for f in check(load(path)).findings if f.rule.startswith("SO1")]


def resolved() -> list[dict[str, Any]]:
    """Give a record on stream 7 and a wait of stream 20, after the first operator's work."""
    wait = event("cuda_sync", "Stream Wait Event", 19, 1, device=0, context=1, stream=20,
                 correlation=12, wait_on_stream=7, wait_on_cuda_event_id=3,
                 wait_on_cuda_event_record_corr_id=11)  # fmt: skip
    return [called("cudaEventRecord", 11, 18), called("cudaStreamWaitEvent", 12, 19), wait]


def test_a_wait_that_is_resolved_orders(tmp_path: Path) -> None:
    trace = load_joined(*pair(tmp_path, streams=(7, 20, 20), between=resolved()))

    for mode in ("order", "ignore"):
        report = check(trace, Settings(unresolved_waits=mode))
        assert not [f for f in report.findings if f.rule.startswith("SO1")]
        assert not [u for u in report.unknown if "--unresolved-waits" in u.reason]


@pytest.mark.parametrize("api", ["cudaStreamWaitEvent", "cudaEventSynchronize", "cudaFree"])
def test_a_wait_that_is_not_resolved_may_order_or_not(api: str, tmp_path: Path) -> None:
    trace = load_joined(*pair(tmp_path, streams=(7, 20, 20), between=[called(api, 12, 19)]))
    ordered, ignored = (check(trace, Settings(unresolved_waits=m)) for m in ("order", "ignore"))

    assert len(unresolved_waits(trace)) == 1
    assert "SO101" not in {f.rule for f in ordered.findings}
    (left_out,) = [u for u in ordered.unknown if "--unresolved-waits" in u.reason]
    assert (left_out.rule, left_out.reason[:2]) == ("SO101", "1 ")
    assert "SO101" in {f.rule for f in ignored.findings}


@pytest.mark.parametrize("key", [5, 25])
def test_a_wait_before_or_after_both_orders_nothing(key: int, tmp_path: Path) -> None:
    between = [called("cudaStreamWaitEvent", key, 19)]
    trace = load_joined(*pair(tmp_path, streams=(7, 20, 20), between=between))

    assert "SO101" in {f.rule for f in check(trace).findings}


def test_an_unresolved_record_alone_orders_nothing(tmp_path: Path) -> None:
    between = [called("cudaEventRecord", 12, 19)]
    trace = load_joined(*pair(tmp_path, streams=(7, 20, 20), between=between))

    assert not unresolved_waits(trace)
    assert "SO101" in {f.rule for f in check(trace).findings}


def test_a_range_that_names_its_arguments_alone_does_not_hide_the_operator(
    tmp_path: Path,
) -> None:
    path, et = pair(tmp_path)
    shape, execution = json.loads(Path(path).read_text()), json.loads(Path(et).read_text())
    shape["traceEvents"].append(event("cpu_op", "nccl:all_reduce", 11, 5, **{
        "Record function id": 9}))  # fmt: skip
    execution["nodes"].append(node(9, "nccl:all_reduce", [tensor(2)], [], ""))
    Path(path).write_text(json.dumps(shape))
    Path(et).write_text(json.dumps(execution))
    first = next(op for op in load_joined(path, et) if op.kind == Kind.LAUNCH).fields()

    assert first["writes"] == (("et:cuda:0:1", 0, 16),)


# What schemas say


@pytest.mark.parametrize(
    ("schema", "inputs", "outputs", "reads", "writes"),
    [
        ("aten::add.out(Tensor self, Tensor other, *, Tensor(a!) out) -> Tensor(a!)",
         [tensor(1), tensor(2), tensor(3)], [tensor(3)], [1, 2], [3]),
        ("aten::copy_(Tensor(a!) self, Tensor src, bool n=False) -> Tensor(a!)",
         [tensor(1), tensor(2), False], [tensor(1)], [2], [1]),
        ("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)",
         [tensor(1), [4]], [tensor(1)], [1], []),
        ("aten::_foreach_add_(Tensor(a!)[] self, Scalar s) -> ()",
         [[tensor(1), tensor(2)], 1], [], [1, 2], [1, 2]),
        ("aten::cat(Tensor[] tensors, int dim=0) -> Tensor",
         [[tensor(1), tensor(2)], 0], [tensor(3)], [1, 2], [3]),
        ("", [tensor(1)], [tensor(1)], [1], [1]),
        ("c10d::allreduce_(Tensor[] tensors, int t) -> (Tensor[], Work)",
         [[tensor(1)], 1], [[tensor(1)], "<Object>"], [1], [1]),
        ("x::y(Tensor self, int[2] p=[1, 2], Tensor(a!) t) -> ()",
         [tensor(1), [1, 2], tensor(2)], [], [1, 2], [2]),
    ],
)  # fmt: skip
def test_what_an_operator_reads_and_writes(  # noqa: PLR0917
    schema: str, inputs: list[Any], outputs: list[Any], reads: list[int], writes: list[int],
    tmp_path: Path,
) -> None:  # fmt: skip
    path = tmp_path / "et.json"
    nodes = [node(1, schema.partition("(")[0] or "x", inputs, outputs, schema)]
    path.write_text(json.dumps({"schema": "1.0.1", "nodes": nodes}))
    found = load_execution(str(path)).nodes[1]

    assert [t.storage for t in found.reads] == reads
    assert [t.storage for t in found.writes] == writes


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ([1, 2, 3, 4, 2, "cuda:0"], 1),
        ([1, 2, 3, 0, 2, "cuda:0"], 0),  # no bytes
        ([1, 2, -3, 4, 2, "cuda:0"], 0),
        ([1, 2, 3, 2**60, 2, "cuda:0"], 0),
        ([1, 2, 3, 4, 2.5, "cuda:0"], 0),
        ([[[[[[[1, 2, 3, 4, 2, "cuda:0"]]]]]]], 0),
    ],
)
def test_what_is_a_tensor(value: Any, length: int, tmp_path: Path) -> None:
    path = tmp_path / "et.json"
    path.write_text(json.dumps({"schema": "1", "nodes": [node(1, "x", [value], [], "x(T t)")]}))
    reads = load_execution(str(path)).nodes[1].reads

    assert reads == ((Tensor(2, 6, 8, "cuda:0"),) * length)


# The recorded pair


def flat(value: Any) -> list[list[Any]]:
    """Give the tensors with bytes in a value."""
    if not isinstance(value, list):
        return []
    if len(value) == 6 and isinstance(value[5], str) and type(value[4]) is int:
        return [value] if value[3] * value[4] else []
    return [t for inner in value for t in flat(inner)]


def kernels_of_operators_with_tensors() -> int:
    """Count the kernels whose call stands in an operator that has tensors of the device."""
    events = raw(KINETO)["traceEvents"]
    operators = sorted(
        (e for e in events if e.get("cat") in ("cpu_op", "user_annotation")),
        key=lambda e: (e["ts"], -e["dur"]),
    )[2:]  # the profiler's own step, and the data loader's
    nodes = sorted((n for n in raw(ET)["nodes"] if n["rf_id"]), key=lambda n: n["rf_id"])
    assert [e["name"] for e in operators] == [n["name"] for n in nodes]
    pairs = [(e, flat(n["inputs"]) + flat(n["outputs"]))
             for e, n in zip(operators, nodes, strict=True)]  # fmt: skip
    pairs = [(e, tensors) for e, tensors in pairs if tensors]
    called = {e["args"].get("correlation"): e["ts"] for e in events if e.get("cat") in (
        "cuda_runtime", "cuda_driver")}  # fmt: skip
    count = 0
    for e in events:
        if e.get("cat") == "kernel":
            at = called[e["args"]["correlation"]]
            around = [ts for op, ts in pairs if op["ts"] <= at <= op["ts"] + op["dur"]]
            count += bool(around) and any(t[5].startswith("cuda") for t in around[-1])
    return count


def test_the_recorded_pair_is_joined_by_the_sequence_of_its_operators() -> None:
    events, trace = raw(KINETO)["traceEvents"], load_joined(KINETO, ET)
    assert not any("Record function id" in e.get("args", {}) for e in events)
    work_of = [op for op in trace if op.kind in WORK]
    kernels = [op for op in work_of if op.kind == Kind.LAUNCH]
    copies = [op.fields() for op in work_of if op.kind == Kind.MEMCPY]
    both = sum(f["src"][0].startswith("et:") and f["dst"][0].startswith("et:") for f in copies)

    assert sum(map(known, kernels)) == kernels_of_operators_with_tensors()
    # A download to pageable memory has no tensor at its end: the value went into a Python object.
    assert [f["dst"][0] for f in copies if not f["dst"][0].startswith("et:")] == ["kineto:pageable"]
    total = sum(e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset") for e in events)
    assert share(trace) == f"(it holds those of {sum(map(known, kernels)) + both} of {total})"


def test_collectives_of_the_recorded_pair_write_what_they_reduce() -> None:
    trace = load_joined(KINETO, ET)
    sizes: Counter[int] = Counter()
    for n in raw(ET)["nodes"]:
        if n["name"] == "record_param_comms":
            for value in n["inputs"]:
                for t in flat(value):
                    if t[5].startswith("cuda"):
                        sizes[t[3] * t[4]] += 1
    found: Counter[int] = Counter()
    for op in trace:
        if op.kind == Kind.LAUNCH and op.name.startswith("nccl"):
            fields = op.fields()
            assert fields["reads"]
            assert fields["writes"] == fields["reads"]  # all of them reduce in place
            found.update(length for _, _, length in fields["reads"])

    assert sum(op.name.startswith("nccl") for op in trace) == 84
    assert set(found) <= set(sizes)


def test_its_conflicts_rest_on_waits_that_cannot_be_resolved() -> None:
    trace = load_joined(KINETO, ET)
    ordered, ignored = (check(trace, Settings(unresolved_waits=m)) for m in ("order", "ignore"))
    left_out = {u.rule: int(u.reason.split()[0]) for u in ordered.unknown if "pairs" in u.reason}

    counts = Counter(f.rule for f in ignored.findings if f.rule.startswith("SO1"))
    assert left_out == counts
    assert counts["SO101"] > 0
    assert not [f for f in ordered.findings if f.rule.startswith("SO1")]
    assert {f.confidence for f in ignored.findings if f.rule.startswith("SO1")} == {"possible"}


# The command, and wrong files


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["lint", *arguments])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return status, told.out, told.err


def test_the_command_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, et = pair(tmp_path, streams=(7, 20, 20))
    status, out, _ = lint(capsys, path, "--with-et", et, "--select", "SO1", "--format", "json")

    (trace,) = json.loads(out)["traces"]
    assert status == 1
    assert [f["rule"] for f in trace["findings"]] == ["SO101"]


def test_each_trace_needs_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, et = pair(tmp_path)
    status, out, err = lint(capsys, path, "--with-et", et, "--with-et", et)

    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_an_execution_trace_of_another_run_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = lint(capsys, KINETO, "--with-et", OTHER)

    assert status == 2
    assert "of another run" in err


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "1"}', '{"nodes": []}', "\0", "[" * 9999]
)
def test_what_is_no_execution_trace_is_refused(text: str, tmp_path: Path) -> None:
    path, _ = pair(tmp_path)
    (tmp_path / "bad").write_text(text)

    with pytest.raises(TraceError, match="not a PyTorch execution trace"):
        load_joined(path, str(tmp_path / "bad"))


def test_a_cut_execution_trace_is_refused(tmp_path: Path) -> None:
    path, et = pair(tmp_path)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(Path(et).read_bytes())[:60])

    with pytest.raises(TraceError, match="ends early"):
        load_joined(path, str(cut))


def test_only_a_profiler_file_can_be_joined(tmp_path: Path) -> None:
    _, et = pair(tmp_path)
    (tmp_path / "t").write_text('{"format": "streamsan-trace", "version": 1}\n')

    with pytest.raises(TraceError, match="no PyTorch profiler file"):
        load_joined(str(tmp_path / "t"), et)


@pytest.mark.parametrize(("mode", "rules"), [("order", []), ("ignore", ["SO101"])])
def test_the_command_takes_what_unresolved_waits_order(
    mode: str, rules: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    between = [called("cudaStreamWaitEvent", 12, 19)]
    path, et = pair(tmp_path, streams=(7, 20, 20), between=between)
    status, out, _ = lint(
        capsys, path, "--with-et", et, "--select", "SO1", "--format", "json",
        "--unresolved-waits", mode,
    )  # fmt: skip
    (trace,) = json.loads(out)["traces"]

    assert [f["rule"] for f in trace["findings"]] == rules
    assert status == len(rules)
