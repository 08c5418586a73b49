"""Every path of the mini-scheduler gives the tokens of a serial oracle, whatever the schedule.

``STREAMSAN_SCHEDULES=50`` tries 50 random schedules of each path instead of 10, and half as many
of each of its variants.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import streamsan
from streamsan import sim

pytest.importorskip("torch")

import torch

from streamsan.sim.scheduler.config import Bug, ServerArgs
from streamsan.sim.scheduler.reference import Expected, generate
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.sim.scheduler.streams import Device, Streams

sim.install()
RANDOM = int(os.environ.get("STREAMSAN_SCHEDULES", "10"))

A, B, C, D = (3, 1, 4, 1, 5, 9, 2, 6), (2, 7, 1, 8, 2), (1, 6, 1, 8, 0, 3, 3), (5, 5, 5)
TWO = (Ask(A, 3), Ask(B, 2))
THREE = (*TWO, Ask(D, 3, arrives=2))
FOUR = (Ask(A, 5), Ask(B, 4), Ask(C, 4, arrives=2), Ask(D, 6, arrives=3))
ENCODED = (replace(TWO[0], encoder=(4, 9, 2)), TWO[1], Ask(D, 3, arrives=2, encoder=(7,)))
PENALISED = (Ask(A, 4, frequency_penalty=2.0), Ask(B, 4, min_new_tokens=3))
GRAMMAR = (Ask(A, 4, grammar=lambda last: (last + 1) % 2), Ask(B, 3))
LOGPROBS = (Ask(A, 3, logprobs=True), Ask(B, 3, logprobs=True))
ROWS_AFTER = (Ask(A, 3), Ask(B, 8), Ask(C, 4))
"""The last waits for the row of the first, whose extra forward is then on its way."""

NORMAL = ServerArgs(overlap=False)
PIPELINE = ServerArgs(overlap=False, pp_size=2)
V2 = ServerArgs(speculative="v2", capture_hidden=True)
DECODE_NODE = ServerArgs(disaggregated=True)
SMALL: dict[str, Any] = {"rows": 4, "slots": 18, "max_running": 3}
PATHS: dict[str, tuple[ServerArgs, tuple[Ask, ...]]] = {
    "a normal": (NORMAL, THREE),
    "b overlap": (ServerArgs(), THREE),
    "b overlap, upload on S": (ServerArgs(prefill_upload="S"), THREE),
    "b overlap, copies on C": (ServerArgs(result_copy="C"), THREE),
    "c fences, fine": (ServerArgs(fence="fine-top"), THREE),
    "c fences, fine after the launch": (ServerArgs(fence="fine-post"), THREE),
    "c fences, coarse after the launch": (ServerArgs(fence="coarse-post", radix_cache=True), THREE),
    "c decode": (ServerArgs(evict_at="prepare"), THREE),
    "c decode, small pools": (ServerArgs(**SMALL), FOUR),
    "d mixed": (ServerArgs(mixed_chunk=True, chunk=4), THREE),
    "d mixed, normal": (NORMAL.but(mixed_chunk=True, chunk=4), THREE),
    "e v1": (V2.but(speculative="v1", overlap=False), TWO),
    "f v2": (V2, THREE),
    "f v2, fine fence": (V2.but(fence="fine-top"), TWO),
    "f idle": (ServerArgs(dp_attention=True), (TWO[0], Ask(B, 2, arrives=7))),
    "f idle, v2": (V2.but(dp_attention=True), (TWO[0], Ask(B, 2, arrives=7))),
    "g v2, normal": (V2.but(overlap=False), TWO),
    "h prebuilt": (DECODE_NODE, THREE),
    "h prebuilt, normal": (DECODE_NODE.but(overlap=False), TWO),
    "h prebuilt, fine fence": (DECODE_NODE.but(fence="fine-top", rows=3), ROWS_AFTER),
    "h prebuilt, small pools": (DECODE_NODE.but(rows=3, slots=20), FOUR),
    "h prebuilt, v2": (V2.but(disaggregated=True), THREE),
    "h prebuilt, v2, no fence": (V2.but(disaggregated=True, fence="none"), TWO),
    "h prebuilt, v2, normal": (V2.but(disaggregated=True, overlap=False), TWO),
    "h prebuilt, idle inside": (DECODE_NODE.but(dp_attention=True), THREE),
    "i encoder": (ServerArgs(encoder_decoder=True), ENCODED),
    "i encoder, mixed": (ServerArgs(encoder_decoder=True, mixed_chunk=True, chunk=4), ENCODED),
    "i encoder, v2": (V2.but(encoder_decoder=True), ENCODED),
    "j pipeline": (PIPELINE, THREE),
    "j pipeline, mixed": (PIPELINE.but(mixed_chunk=True, chunk=4), THREE),
    "j pipeline, small pools": (PIPELINE.but(**SMALL), FOUR),
    "j pipeline, penalties": (PIPELINE, PENALISED),
    "k profiler": (PIPELINE.but(dynamic_chunking=True), TWO),
    "l penalties": (ServerArgs(), PENALISED),
    "l penalties, normal": (NORMAL, PENALISED),
    "m hisparse": (ServerArgs(hisparse=True), THREE),
    "m hisparse, normal": (NORMAL.but(hisparse=True), TWO),
    "m hisparse, small pools": (ServerArgs(hisparse=True, **SMALL), FOUR),
    "n embedding": (ServerArgs(), (Ask(A, embedding=True), Ask(C, 3, arrives=1))),
    "o grammar": (ServerArgs(), GRAMMAR),
    "o logprobs": (ServerArgs(), LOGPROBS),
    "p split prefill": (NORMAL.but(pdmux=True), THREE),
    "p split prefill, grammar": (NORMAL.but(pdmux=True), (*GRAMMAR, *LOGPROBS)),
}
SMALL_PATHS = [name for name in PATHS if name.endswith("small pools")]
WARNINGS = {"SO303", "SO401", "SO402", "SO403", "SO404", "SO405"}
"""True ones of an era: blocking builds, coarse fences, an event of the waiting stream itself."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread: its tensors here are tiny."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def quiet_collector(*, first: bool = True) -> Iterator[None]:
    """Keep the collector out: what it frees would be an op at another place each time."""
    if first:
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serve(
    args: ServerArgs, asks: tuple[Ask, ...], policy: str = "eager", *, record: bool = False
) -> sim.Run:
    with quiet_collector(first=record):
        return sim.run(lambda: Scheduler(args, "simcuda").serve(asks), policy, record=record)


@cache
def expected(ask: Ask, args: ServerArgs, penalised: tuple[int, ...]) -> Expected:
    return generate(ask, args, list(penalised) or None)


def wrong(args: ServerArgs, reqs: list[Req]) -> list[Any]:
    """Give what differs from the oracle."""
    found: list[Any] = []
    for req in reqs:
        right = expected(req.ask, args, tuple(req.penalised))
        if req.output_ids != right.tokens:
            found.append((req.rid, req.output_ids, right.tokens))
        given = [*req.input_logprobs, *req.output_logprobs, *req.embedding]
        wanted = [*right.input_logprobs, *right.output_logprobs, *right.embedding]
        if given != pytest.approx(wanted):
            found.append((req.rid, given, wanted))
    return found


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_right_and_clean(name: str) -> None:
    args, asks = PATHS[name]
    run = serve(args, asks, record=True)
    assert run.trace is not None
    assert not wrong(args, run.value)
    assert {f.rule for f in streamsan.check(run.trace) if f.severity != "info"} <= WARNINGS


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_right_under_every_schedule(name: str) -> None:
    args, asks = PATHS[name]
    seeds = range(RANDOM // 2 if "," in name else RANDOM)  # fewer for a variant of a path
    policies = ["lazy", *(f"random({seed})" for seed in seeds)]
    assert not {p: bad for p in policies if (bad := wrong(args, serve(args, asks, p).value))}


@pytest.mark.parametrize("name", SMALL_PATHS)
def test_small_pools_retract_and_recycle_rows(name: str) -> None:
    args, asks = PATHS[name]
    reqs: list[Req] = serve(args, asks).value
    assert sum(req.retractions for req in reqs) > 0
    assert len({req.row for req in reqs}) < len(reqs)


def test_two_equal_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device("simcuda")
    Streams(device)
    one = device.stream("S")
    monkeypatch.setattr(Device, "stream", lambda _device, _name: one)
    with pytest.raises(RuntimeError, match="the streams S and F are one"):
        Streams(device)


def test_a_stream_of_a_path_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(Device("simcuda"))
    monkeypatch.setattr(Device, "stream", lambda _device, _name: streams.C)
    with pytest.raises(RuntimeError, match="the streams C and N are one"):
        streams.more("N")


def left_over(args: ServerArgs, tokens: int) -> int:
    """Serve with a grammar; give the bytes that are still allocated at the end."""

    def program() -> int:
        scheduler = Scheduler(args, "simcuda")
        scheduler.serve([replace(GRAMMAR[0], new_tokens=tokens)])
        return int(torch.simcuda.memory_allocated())  # type: ignore[attr-defined]

    with quiet_collector():
        return int(sim.run(program, record=False).value)


def test_a_kept_closure_is_a_leak() -> None:
    fixed, leaking = ServerArgs(), ServerArgs().but(Bug.CLOSURE_LEAK)
    short, long = (left_over(leaking, n) - left_over(fixed, n) for n in (2, 8))
    assert short > 0
    assert long >= short + 6 * 256  # the logits of each step more


# name: args of the fixed variant, asks, the bug, and (rule, first, second, buffer) of each finding
PREFILLS_APART = (
    Ask(B, 8), Ask(A, arrives=3, embedding=True), Ask(D, arrives=4, embedding=True),
    Ask(B[::-1], 3, arrives=5),
)  # fmt: skip
SYNTHETIC = (Ask(A, 2), Ask(B, 1, arrives=2))
BUGS: dict[str, tuple[ServerArgs, tuple[Ask, ...], Bug, set[tuple[str, str, str]]]] = {
    "B11": (DECODE_NODE.but(fence="fine-top", rows=2), (Ask(A, 4), Ask(B, 4)),
            Bug.PREBUILT_NO_FENCE, {("SO103", "stash@F", "stash@S")}),
    "B12": (V2.but(disaggregated=True, fence="none"), (Ask(A, 8), Ask(B, 4, arrives=1)),
            Bug.EVENT_MOVED, {("SO101", "publish@F", "gather_seq_lens@S"),
                              ("SO101", "publish@F", "pull_seq_lens@P"),
                              ("SO304", "event_record@F", "stream_wait_event@S")}),
    "B17": (PIPELINE.but(dynamic_chunking=True), TWO, Bug.PP_PROFILER_NONE,
            {("SO701", "slot_defer", "slot_read")}),
    "B18": (PIPELINE.but(mixed_chunk=True), SYNTHETIC, Bug.PP_STASH_MISSING,
            {("SO702", "slot_resolve", "slot_read")}),
    "B18 no sync": (PIPELINE.but(mixed_chunk=True), SYNTHETIC, Bug.PP_NO_D2H_SYNC,
                    {("SO101", "stash@C", "gather_input_ids@F"),
                     ("SO111", "next_token_ids_cpu@C", "host_read")}),
    "path i": (ServerArgs(encoder_decoder=True), ENCODED, Bug.ENCODER_NO_REBUILD, set()),
}  # fmt: skip


def pair(run: sim.Run, finding: streamsan.Finding) -> tuple[str, str, str]:
    """Give a finding's rule and the names of its two ops."""
    assert run.trace is not None
    first, second = (run.trace[op] for op in finding.ops)
    return finding.rule, *(  # type: ignore[return-value]
        f"{op.name or op.word}@{op.stream}" if op.stream else op.word for op in (first, second)
    )


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_and_is_wrong(name: str) -> None:
    fixed, asks, bug, expect = BUGS[name]
    args = fixed.but(bug)
    assert not wrong(fixed, serve(fixed, asks).value)
    run = serve(args, asks, record=True)
    assert run.trace is not None
    errors = [f for f in streamsan.check(run.trace) if f.severity == "error"]
    assert {pair(run, finding) for finding in errors} == expect
    races = [f.ops[0] for f in errors if f.rule.startswith("SO1")]
    for op in races:
        assert wrong(args, serve(args, asks, f"directed({op})", record=True).value)
    if not races and bug is not Bug.PP_PROFILER_NONE:
        assert wrong(args, run.value)


@pytest.mark.parametrize("name", ["B11", "B12"])
def test_the_coarse_fence_hides_it(name: str) -> None:
    fixed, asks, bug, _ = BUGS[name]
    args = fixed.but(bug, fence="coarse-top")
    run = serve(args, asks, record=True)
    assert run.trace is not None
    assert not [f for f in streamsan.check(run.trace) if f.severity == "error"]


def test_indices_that_aged_out_of_the_ring_are_freed_too_early() -> None:
    fixed = ServerArgs(mixed_chunk=True, slots=200)  # the block fits what is allocated next
    for args, rules in ((fixed, []), (fixed.but(Bug.MIX_RUNNING_LIFETIME), ["SO201"])):
        serve(args, PREFILLS_APART)  # what a first run leaves behind would keep them alive
        run = serve(args, PREFILLS_APART, record=True)
        assert run.trace is not None
        found = [f for f in streamsan.check(run.trace) if f.rule[:3] in {"SO1", "SO2"}]
        assert [f.rule for f in found if f.severity == "error"] == rules
        assert len(found) == len(rules)
        for finding in found:
            late = serve(args, PREFILLS_APART, f"directed({finding.ops[0]})", record=True)
            assert wrong(args, late.value)
