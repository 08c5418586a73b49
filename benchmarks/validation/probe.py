"""A probe: what does one call wait for? Work that takes long is queued, then the call is made.

Two answers that do not depend on each other: whether an event recorded behind the long work is
done when the call returns, and how long the call took on the host. The simulated device answers
the second one in simulated time.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from validation.part import Context

Call = Callable[[], object]
Make = Callable[[], Call]
"""Makes a call with what it needs; its preparation is not measured."""

_MS = 1_000_000
"""Cycles that a simulated millisecond takes, and about those of a real one."""


@dataclass(frozen=True)
class Reading:
    """What was seen of a call.

    Args:
        idle: ms of the call on the host with nothing queued.
        slept: ms that the long work took, about.
        ms: of the call on the host behind the long work, for each try.
        done: whether the long work was done when the call returned, for each try.
        after: ms until the call's stream was empty, once the call had returned, for each try.
    """

    idle: float
    slept: float
    ms: tuple[float, ...]
    done: tuple[bool, ...]
    after: tuple[float, ...]

    @property
    def waited(self) -> str:
        """Whether the call waited for the long work: yes, no, or both."""
        return _word(self.done)

    @property
    def waited_by_clock(self) -> str:
        """The same by the time that the call took."""
        half = self.idle + 0.5 * self.slept
        return _word(tuple(ms > half for ms in self.ms))

    def columns(self) -> dict[str, Any]:
        """Give the reading as columns of a table."""
        return {
            "waited": self.waited, "by_clock": self.waited_by_clock,
            "ms": round(statistics.median(self.ms), 3), "ms_min": round(min(self.ms), 3),
            "ms_max": round(max(self.ms), 3), "idle_ms": round(self.idle, 3),
            "sleep_ms": round(self.slept, 1),
            "after_ms": round(statistics.median(self.after), 3),
        }  # fmt: skip


def _word(answers: tuple[bool, ...]) -> str:
    if all(answers):
        return "yes"
    return "mixed" if any(answers) else "no"


@dataclass
class Probe:
    """Makes calls behind long work.

    Args:
        context: tells the device.
        sleep: ms of the long work, and more where the call itself takes long.
        tries: calls of each kind behind long work.
    """

    context: Context
    sleep: float = 15.0
    tries: int = 3
    module: Any = field(init=False)
    cycles: float = field(init=False, default=_MS)

    def __post_init__(self) -> None:
        """Find out how many cycles a millisecond takes."""
        self.module = self.context.module
        if self.context.device == "cuda":
            self.cycles = self._calibrate()
        self._allocators()

    def _calibrate(self) -> float:
        """Measure cycles in a millisecond; the first tries let the clock of the device rise."""
        start, end = (self.module.Event(enable_timing=True) for _ in range(2))
        for _ in range(4):
            start.record()
            self.module._sleep(20 * _MS)  # noqa: SLF001 - torch has no other name for it
            end.record()
            end.synchronize()
        took = float(start.elapsed_time(end))
        return 20 * _MS / took if took > 1.0 else float(_MS)

    def _allocators(self) -> None:
        """Start what would else be started within a measurement."""
        import torch

        for size in (1 << 10, 1 << 26):
            host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
            host.to(self.context.device, non_blocking=True)
        self.module.synchronize()

    def now(self) -> float:
        """Give the host's time in ms: simulated on the simulated device."""
        if self.context.device == "cuda":
            return time.perf_counter() * 1e3
        from streamsan.sim.device.runtime import RT

        return float(RT.engine.now) / 1e6

    def delay(self, stream: Any, ms: float) -> Any:
        """Let a stream be busy for some time; give an event recorded behind that."""
        with self.module.stream(stream):
            self.module._sleep(int(ms * self.cycles))  # noqa: SLF001
            event = self.module.Event()
            event.record()
        return event

    def measure(self, make: Make, current: Any, asleep: Any) -> Reading:
        """Make a call on a stream while that stream, or another one, is busy."""
        with self.module.stream(current):
            call = make()
            self._settled(call())  # kernels are loaded and caches filled
            idle = self._timed(call)
            slept = self.sleep + 2 * idle
            found = [self._behind(call, current, asleep, slept) for _ in range(self._tries)]
        ms, done, after = zip(*found, strict=True)
        return Reading(idle, slept, ms, done, after)

    @property
    def _tries(self) -> int:
        """The simulated device gives the same each time."""
        return self.tries if self.context.device == "cuda" else 1

    def _timed(self, call: Call) -> float:
        self.module.synchronize()
        begin = self.now()
        kept = call()
        took = self.now() - begin
        self._settled(kept)
        return took

    def _behind(
        self, call: Call, current: Any, asleep: Any, slept: float
    ) -> tuple[float, bool, float]:
        """Make the call once; give its ms, whether the work was done, and ms until all is."""
        gc.disable()
        try:
            event = self.delay(asleep, slept)
            begin = self.now()
            kept = call()
            took = self.now() - begin
            done = bool(event.query())
            begin = self.now()
            current.synchronize()
            after = self.now() - begin
        finally:
            gc.enable()
            self.module.synchronize()
        self._settled(kept)
        return took, done, after

    def _settled(self, kept: object) -> None:
        """Drop a result when all is done: nothing then waits for anything on its account."""
        self.module.synchronize()
        del kept


def told(error: BaseException) -> str:
    """Give an error as a line of a table."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def judged(predicted: str, waited: str) -> bool | None:
    """Tell whether a reading is as predicted; None where nothing was promised."""
    if predicted == "open":
        return None
    return waited == {"waits": "yes", "returns": "no"}[predicted]
