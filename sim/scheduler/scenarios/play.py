"""Running a scenario: on the simulated device under a schedule, or on a real one."""

from __future__ import annotations

import atexit
import gc
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.reference import generate
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.scenarios.delays import Delay, experiment, no_modes
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces import Trace, load
from streamsan.traces.errors import UsageError
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.matching import Matched

Outcome = dict[str, Any]
"""What came of a run, by name: what each request got, what the host saw, what kernels read."""


@dataclass(frozen=True)
class Played:
    """One run. ``wrong`` lists requests whose tokens are not the oracle's, and what else failed."""

    outcome: Outcome
    wrong: tuple[str, ...]
    trace: Trace | None = None
    schedule: str = ""
    matched: Matched | None = None
    """On a GPU: what its profiler saw, and which op each of it is."""
    note: str = ""
    """Why device times are missing, where they are."""


def play(
    args: ServerArgs,
    asks: tuple[Ask, ...],
    *,
    policy: str = "eager",
    steps: int | None = None,
    record: bool = True,
) -> Played:
    """Serve requests on the simulated device, in a run of its own.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        policy: the schedule, as ``streamsan.sim.run`` takes it.
        steps: tokens for each request, instead of what it asks for.
        record: whether to keep the trace.
    """
    from streamsan import sim

    if not sim.is_installed():
        sim.install()
    asks = _shortened(asks, steps)
    _warm_up()
    _settle()
    from streamsan.sim.device.declared import watching

    with _quiet_collector(), watching() as seen, sim.session(policy, record=record) as run:
        outcome, wrong = serve(args, asks, "simcuda")
    for number, (name, values) in sorted(seen.items()):
        outcome[f"what {name} read, kernel {number}"] = values
    return Played(outcome, wrong, run.trace, run.schedule)


def play_on_cuda(
    args: ServerArgs, asks: tuple[Ask, ...], *, steps: int | None = None, profile: bool = True
) -> Played:
    """Serve requests on the GPU, recorded.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        steps: tokens for each request, instead of what it asks for.
        profile: also take device times, and check that nothing was missed.

    Raises:
        UsageError: there is no CUDA device.
    """
    import torch

    if not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; leave out --device cuda")
    asks = _shortened(asks, steps)
    try:
        return _recorded(args, asks, profile=profile)
    except RecordError as error:
        if not profile:
            raise
        # Many a server keeps its users from profiling: what is recorded needs no profiler.
        return replace(_recorded(args, asks, profile=False), note=f"no device times: {error}")


def _recorded(args: ServerArgs, asks: tuple[Ask, ...], *, profile: bool) -> Played:
    import streamsan

    _settle()
    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        path = str(Path(folder) / "scenario.trace.jsonl")
        with _quiet_collector(), streamsan.record(path, profile=profile) as recording:
            outcome, wrong = serve(args, asks, "cuda")
        return Played(outcome, wrong, load(path), matched=recording.matched)


def play_delayed(
    args: ServerArgs,
    asks: tuple[Ask, ...],
    delays: Sequence[Delay] = (),
    *,
    device: str = "cuda",
    serial: bool = False,
    steps: int | None = None,
) -> tuple[Played, Counter[str]]:
    """Serve requests under delays, not recorded; give also how many ops of each label there were.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        delays: where to delay.
        device: ``cuda``, or ``simcuda`` with a clock.
        serial: let no two ops overlap, in place of delays.
        steps: tokens for each request, instead of what it asks for.
    """
    asks = _shortened(asks, steps)
    if device == "simcuda":
        from streamsan import sim

        _warm_up()
        with sim.session("timed", record=False):
            return _experiment(args, asks, delays, device, serial)
    return _experiment(args, asks, delays, device, serial)


def _experiment(
    args: ServerArgs, asks: tuple[Ask, ...], delays: Sequence[Delay], device: str, serial: bool
) -> tuple[Played, Counter[str]]:
    _settle()
    with _quiet_collector(), experiment(device, delays, serial=serial, noting=True) as made:
        outcome, wrong = serve(args, asks, device, made.follow)
    return Played(outcome | made.seen, wrong), made.labels


def _shortened(asks: tuple[Ask, ...], steps: int | None) -> tuple[Ask, ...]:
    return asks if steps is None else tuple(replace(ask, new_tokens=steps) for ask in asks)


@cache
def _freeze() -> None:
    gc.collect()
    gc.freeze()  # what is there now need not be looked through before every run


def _settle() -> None:
    """Free what an earlier run left: it would go somewhere in this one's record."""
    _freeze()
    gc.collect()


@cache
def _warm_up() -> None:
    """Serve a little, once in a process: torch's imports at first use hold frames, and these hold
    batches, so that a first run would free memory later than any other.
    """  # noqa: D205
    from streamsan import sim

    with sim.session(record=False):
        serve(ServerArgs(), (Ask((1, 2), 2),), "simcuda")
    atexit.register(gc.unfreeze)  # triton's extension tells of all that is left at the end


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the collector out: an object that it frees would be an op at another place each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serve(
    args: ServerArgs,
    asks: tuple[Ask, ...],
    device: str,
    follow: Callable[[Scheduler], None] | None = None,
) -> tuple[Outcome, tuple[str, ...]]:
    """Serve requests on a device, and compare with the oracle. A failure is an outcome too.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        device: ``simcuda`` or ``cuda``.
        follow: called with the scheduler before it begins.
    """
    try:
        scheduler = Scheduler(args, device)
        if follow is not None:
            follow(scheduler)
        reqs = scheduler.serve(asks)
    except RuntimeError as error:
        told = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
        return {"end": told}, (told,)
    relay = scheduler.future_map
    outcome: Outcome = {f"request {req.rid}": _given(req) for req in reqs}
    outcome["tokens as the host saw them"] = scheduler.host_saw
    outcome["lengths as the host saw them"] = [req.committed for req in reqs]
    with scheduler.device.on(scheduler.streams.S):
        outcome["output_tokens_buf"] = relay.output_tokens_buf.cpu().tolist()
        outcome["new_seq_lens_buf"] = relay.new_seq_lens_buf.cpu().tolist()
    wrong = [told for req in reqs if (told := _wrong(args, req))]
    return outcome, (*wrong, *scheduler.failures)


def _given(req: Req) -> list[Any]:
    numbers = [*req.input_logprobs, *req.output_logprobs, *req.embedding]
    return [*req.output_ids, *(round(number, 9) for number in numbers)]


def _wrong(args: ServerArgs, req: Req) -> str:
    """Say how a request's tokens differ from the oracle's; empty where they do not."""
    expected = _oracle(req.ask, args, tuple(req.penalised))
    if req.output_ids == expected:
        return ""
    return f"request {req.rid}: {req.output_ids} in place of {expected}"


@cache
def _oracle(ask: Ask, args: ServerArgs, penalised: tuple[int, ...]) -> list[int]:
    """Give the oracle's tokens: it is asked the same again in every run of a scenario."""
    with no_modes():
        return generate(ask, args, list(penalised) or None).tokens


def difference(one: Outcome, other: Outcome) -> str | None:
    """Say where two outcomes differ first; None where they do not."""
    for name in (*one, *(name for name in other if name not in one)):
        if one.get(name) != other.get(name):
            return f"{name}: {_short(one.get(name))} in place of {_short(other.get(name))}"
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:96]}..."  # noqa: PLR2004
