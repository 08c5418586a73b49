"""The compiled engine gives what the reference gives: graphs, clocks and pairs, bit for bit."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from strategies import random_trace, traces

import streamsan.traces
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.order.happens_before import HappensBefore

numba = pytest.importorskip("numba", reason="the compiled engine needs numba")

from streamsan.traces.order import compiled, kernels  # noqa: E402

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

ROOT = Path(__file__).resolve().parent.parent
CASES = next((p for p in (ROOT / "tests/cases", ROOT.parent / "shared/cases") if p.is_dir()), None)


@pytest.fixture(autouse=True, scope="module")
def _kernel_takes_all() -> Any:
    """Send every op to the kernel that it can take, in short runs, so that each border is met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "SHORT_RUN", 0)
        patch.setattr(compiled, "CHUNK", 7)
        yield


def check(trace: Trace, semantics: o.Semantics | None = None) -> HappensBefore:
    reference = HappensBefore(trace, semantics, engine="python")
    order = HappensBefore(trace, semantics, engine="compiled")
    for name in ("graph", "clocks", "placed"):
        for field in fields(getattr(reference, name)):
            if field.name != "places":
                one, other = (getattr(getattr(x, name), field.name) for x in (reference, order))
                same(one, other, f"{name}.{field.name}")
    same(reference.pairs, order.pairs, "pairs")
    nodes = np.arange(min(len(reference.graph.node_lane), 200))
    before = reference.clocks.before(nodes[:, None], nodes)
    assert np.array_equal(before, order.clocks.before(nodes[:, None], nodes))
    return order


def same(one: Any, other: Any, what: str) -> None:
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, what
        assert np.array_equal(one, other), what
    else:
        assert one == (dict(other) if isinstance(one, dict) else other), what


# --- known programs


def cases() -> list[Any]:
    if CASES is None:
        return []
    files = sorted(CASES.glob("*/*.jsonl"))
    lines = (CASES / "litmus.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [
        *(pytest.param(path, id=path.name.partition(".")[0]) for path in files),
        *(pytest.param(entry, id=entry["id"]) for entry in entries),
    ]


@pytest.mark.skipif(CASES is None, reason="the cases are not here")
@pytest.mark.parametrize("case", cases())
def test_known_programs(case: Any) -> None:
    if isinstance(case, Path):
        trace = streamsan.traces.load(case)
    else:
        semantics = msgspec.convert(case.get("semantics", {}), o.Semantics)
        ops = [msgspec.convert(op, o.AnyOp) for op in case["ops"]]
        trace = from_ops(list(ops), o.Header(semantics=semantics))
    check(trace)
    check(trace, o.LEAST_PROMISE)


# --- random programs


@pytest.mark.parametrize("block", range(10))
def test_programs_by_seed(block: int) -> None:
    for seed in range(50 * block, 50 * block + 50):
        check(random_trace(seed, ops=10 + 2 * (seed % 50)))


@given(traces())
def test_random_programs(trace: Trace) -> None:
    check(trace)


def test_programs_long_enough_for_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "SHORT_RUN", 8)
    for seed in range(1000, 1012):
        check(random_trace(seed, ops=1500))


# --- tables that have to grow


def crowd(streams: int, buffers: int, rounds: int) -> list[o.OpBase]:
    """Streams that all read what they then write, and wait for each other too seldom."""
    ops: list[o.OpBase] = []
    for i in range(streams * rounds):
        mine, other = f"s{i % streams}", f"s{(i + 1) % streams}"
        reads = tuple(f"d{b}" for b in range(i % 3, buffers, 1 + i % 2))
        ops.append(o.Launch(stream=mine, reads=reads, writes=(f"d{i % buffers}",)))
        ops.append(o.Launch(stream=mine, reads=reads))
        if i % 3 == 0:
            ops += [
                o.EventRecord(event="e", stream=mine),
                o.StreamWaitEvent(event="e", stream=other),
            ]
        if i % 97 == 96:
            ops.append(o.DeviceSynchronize())
    return ops


@pytest.mark.parametrize(("streams", "buffers", "rounds"), [(2, 40, 40), (9, 60, 30), (40, 5, 20)])
def test_tables_grow(streams: int, buffers: int, rounds: int) -> None:
    order = check(from_ops(crowd(streams, buffers, rounds)))
    assert len(order.pairs) > 150
    assert len(order.clocks.rows) > 10


def test_reads_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent reads stay in one slot for each atom, and a write gives the slot back."""
    lengths: list[int] = []
    longer = compiled.longer_table

    def counted(table: Any) -> Any:
        lengths.append(len(table))
        return longer(table)

    ops: list[o.OpBase] = []
    for i in range(4000):
        ops.append(o.Launch(stream=f"s{i % 4}", reads=("w", f"v{i % 9}")))
        if i % 1000 == 999:
            ops += [o.DeviceSynchronize(), o.Launch(stream="s0", writes=("w",))]
            ops += [o.Launch(stream="s0", writes=(f"v{k}",)) for k in range(9)]
            ops.append(o.DeviceSynchronize())
    order = HappensBefore(from_ops(ops), engine="compiled")
    monkeypatch.setattr(compiled, "longer_table", counted)  # the clocks have grown already
    assert len(order.pairs) == 0
    assert lengths == []


# --- installations


def test_without_a_folder_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def njit(*args: Any, **options: Any) -> Any:
        calls.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return args[0] if args else lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert kernels.kernel(max)(1, 2) == 2
    assert calls == [{"cache": True}, {}]
