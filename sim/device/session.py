"""Runs of a program on the simulated device: one schedule, one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from streamsan.sim.device.errors import SimulationError
from streamsan.sim.device.install import is_installed
from streamsan.sim.device.runtime import RT
from streamsan.traces.model import Trace


@dataclass
class Run:
    """What a run gave. ``schedule`` replays it."""

    policy: str
    value: Any = None
    trace: Trace | None = None
    schedule: str = ""


@contextmanager
def session(policy: str = "eager", **config: Any) -> Iterator[Run]:
    """Run the body under a schedule, with a record of its own, on a device as it is at the start.

    Tensors, streams and events of before stay usable: all their work is done, and the record
    begins with their allocation. ``config`` takes what ``install`` takes.

    Raises:
        SimulationError: the device is not installed.
    """
    if not is_installed():
        raise SimulationError("call streamsan.sim.install() first")
    RT.restart(replace(RT.installed, policy=policy, **config))
    run = Run(policy)
    try:
        yield run
    finally:
        run.schedule = RT.schedule()
        if RT.config.record:
            run.trace = RT.trace()


recording = session
"""The same, by the name that says what it is mostly used for."""


def run(program: Callable[[], Any], policy: str = "eager", **config: Any) -> Run:
    """Call a program in a session of its own; the run keeps what it returned."""
    with session(policy, **config) as found:
        found.value = program()
    return found


def trace() -> Trace:
    """Give the trace of the run so far."""
    return RT.trace()


def schedule() -> str:
    """Give the schedule of the run so far, as a string that replays it."""
    return RT.schedule()
