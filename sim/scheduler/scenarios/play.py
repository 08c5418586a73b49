"""Running a scenario: on the simulated device under a schedule, or on a real one."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.reference import generate
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces import Trace, load
from streamsan.traces.errors import UsageError

Outcome = dict[str, Any]
"""What came of a run, by name: what each request got, what the host saw, what kernels read."""


@dataclass(frozen=True)
class Played:
    """One run. ``wrong`` lists requests whose tokens are not the oracle's, and what else failed."""

    outcome: Outcome
    wrong: tuple[str, ...]
    trace: Trace | None = None
    schedule: str = ""


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
    gc.collect()  # what an earlier run left would be freed somewhere in this one's record
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

    import streamsan

    if not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; leave out --device cuda")
    asks = _shortened(asks, steps)
    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        path = str(Path(folder) / "scenario.trace.jsonl")
        with streamsan.record(path, profile=profile):
            outcome, wrong = serve(args, asks, "cuda")
        return Played(outcome, wrong, load(path))


def _shortened(asks: tuple[Ask, ...], steps: int | None) -> tuple[Ask, ...]:
    return asks if steps is None else tuple(replace(ask, new_tokens=steps) for ask in asks)


@cache
def _warm_up() -> None:
    """Serve a little, once in a process: torch's imports at first use hold frames, and these hold
    batches, so that a first run would free memory later than any other.
    """  # noqa: D205
    from streamsan import sim

    with sim.session(record=False):
        serve(ServerArgs(), (Ask((1, 2), 2),), "simcuda")
    gc.collect()
    gc.freeze()  # what is there now need not be looked through before every run


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the collector out: an object that it frees would be an op at another place each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serve(args: ServerArgs, asks: tuple[Ask, ...], device: str) -> tuple[Outcome, tuple[str, ...]]:
    """Serve requests on a device, and compare with the oracle. A failure is an outcome too."""
    try:
        scheduler = Scheduler(args, device)
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
    expected = generate(req.ask, args, req.penalised or None)
    if req.output_ids == expected.tokens:
        return ""
    return f"request {req.rid}: {req.output_ids} in place of {expected.tokens}"


def difference(one: Outcome, other: Outcome) -> str | None:
    """Say where two outcomes differ first; None where they do not."""
    for name in (*one, *(name for name in other if name not in one)):
        if one.get(name) != other.get(name):
            return f"{name}: {_short(one.get(name))} in place of {_short(other.get(name))}"
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:96]}..."  # noqa: PLR2004
