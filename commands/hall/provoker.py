"""Provoking bugs on a GPU in a process beside this one.

A buggy program may read past its buffers; CUDA then answers its process no more. So it runs in
another one, which is replaced when that happens.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streamsan.commands.hall.provoking import Provoked, provoke

if TYPE_CHECKING:
    from streamsan.sim.scheduler.scenarios.scenario import Scenario
    from streamsan.traces import Trace


class Provoker:
    """A process that provokes bugs; a context manager.

    Args:
        device: ``cuda`` or ``simcuda``.
        steps: tokens for each request, instead of what it asks for.
    """

    def __init__(self, device: str, steps: int | None = None) -> None:
        self._device, self._steps = device, steps
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def provoke(self, scenario: Scenario, trace: Trace) -> Provoked:
        """Provoke the bug of a scenario where the findings in its trace say."""
        from streamsan.traces import save

        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
            path = str(Path(folder) / "buggy.trace.jsonl")
            save(trace, path)
            try:
                found = self._pool.submit(
                    _provoke, scenario.name, path, self._device, self._steps
                ).result()
            except BrokenProcessPool:
                found = Provoked(None, error="the process died")
        if found.broken or found.error:
            self._end()
        return found


def _provoke(name: str, path: str, device: str, steps: int | None) -> Provoked:
    """Provoke a bug in this process."""
    from streamsan.sim.scheduler.scenarios import find_scenario
    from streamsan.sim.scheduler.scenarios.delays import Delay, cycles_per_ms
    from streamsan.sim.scheduler.scenarios.outcome import Played
    from streamsan.sim.scheduler.scenarios.play import play_delayed
    from streamsan.traces import load

    scenario = find_scenario(name)
    if scenario is None or scenario.buggy is None:
        raise LookupError(name)
    args, asks = scenario.buggy, scenario.asks
    if device == "simcuda":
        from streamsan import sim

        sim.install()

    def run(delays: tuple[Delay, ...], serial: bool) -> tuple[Played, Counter[str]]:
        return play_delayed(args, asks, delays, device=device, serial=serial, steps=steps)

    return provoke(scenario, load(path), run, cycles_per_ms(device))
