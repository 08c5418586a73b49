"""A scheduler that serves the same requests again and again, warm, timed or recorded."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import streamsan
from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.model import Model
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces import Trace, load
from streamsan.traces.model import NONE

Serve = Callable[[], None]


class Server:
    """One variant of a case. It is built once: what is timed is serving alone."""

    def __init__(
        self, args: ServerArgs, asks: tuple[Ask, ...], device: str, model: Model | None = None
    ) -> None:
        self._scheduler = Scheduler(args, device, model)
        self._asks = asks
        self.device = device

    def serve(self) -> None:
        """Serve the requests until the device is done, from the first iteration on again."""
        self._scheduler.iteration = 0
        self._scheduler.host_saw.clear()
        self._scheduler.serve(self._asks)
        self._scheduler.device.synchronize()

    def timed(self) -> float:
        """Serve, and give the seconds that takes. Nothing watches."""
        begin = time.perf_counter()
        self.serve()
        return time.perf_counter() - begin

    def recorded(self) -> tuple[Trace, str]:
        """Serve and record, with device times; also what the recorder complains of."""
        if self.device != "cuda":
            from streamsan import sim

            with sim.session("timed", record=True) as run:
                self.serve()
            assert run.trace is not None  # noqa: S101 - a record was asked for
            return run.trace, ""
        from streamsan.traces.recorder.errors import RecordError

        told = ""
        with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
            path = Path(folder) / "costs.trace.jsonl"
            try:
                with streamsan.record(path, profile=True):
                    self.serve()
            except RecordError as error:  # the file is there all the same
                told = str(error)
            return load(path), told


def span(trace: Trace) -> int:
    """Give the ns from the first recorded time to the last."""
    columns = [column[column != NONE] for column in (trace.t, trace.t_end, trace.begin, trace.end)]
    known = np.concatenate(columns)
    return int(known.max() - known.min()) if len(known) else 0


def busy(trace: Trace) -> int:
    """Give the ns that the device works, all its work added up."""
    done = (trace.begin != NONE) & (trace.end != NONE)
    return int((trace.end[done] - trace.begin[done]).sum())
