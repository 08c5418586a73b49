"""Running a scenario: on the simulated device under a schedule, or on a real one."""

from __future__ import annotations

import atexit
import gc
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scenarios.delays import Delay, experiment
from streamsan.sim.scheduler.scenarios.outcome import Played, failed, serve
from streamsan.sim.scheduler.scenarios.quiet import quiet_collector, settle
from streamsan.traces import load
from streamsan.traces.errors import UsageError
from streamsan.traces.recorder.errors import RecordError

_HOST_NS = 50_000
"""Between two ops of a scheduler on the simulated device, whose kernels take 5 us each."""


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
    settle()
    from streamsan.sim.device.declared import watching

    with quiet_collector(), watching() as seen, sim.session(policy, record=record) as run:
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

    settle()
    with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
        path = str(Path(folder) / "scenario.trace.jsonl")
        with quiet_collector(), streamsan.record(path, profile=profile) as recording:
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

        if not sim.is_installed():
            sim.install()
        _warm_up()
        with sim.session("timed", record=False):
            return _experiment(args, asks, delays, device, serial=serial, pace=_host_takes_time)
    return _experiment(args, asks, delays, device, serial=serial)


def _host_takes_time() -> None:
    """Let the host take longer for an op than the device: without a delay nothing then overlaps."""
    from streamsan.sim.device.runtime import RT

    RT.engine.now += _HOST_NS


def _experiment(
    args: ServerArgs, asks: tuple[Ask, ...], delays: Sequence[Delay], device: str, **how: Any
) -> tuple[Played, Counter[str]]:
    settle()
    with quiet_collector(), experiment(device, delays, noting=True, **how) as made:
        outcome, wrong = serve(args, asks, device, made.follow)
        try:
            outcome |= made.seen
        except RuntimeError as error:  # the device failed after the last request
            outcome, wrong = failed(error)
    return Played(outcome, wrong), made.labels


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
    atexit.register(gc.unfreeze)  # triton's extension tells of all that is left at the end
