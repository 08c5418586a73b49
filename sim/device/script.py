"""A program under the simulated device, in a process of its own: ``streamsan run`` starts it so.

    python -m streamsan.sim.device.script ORDER SCRIPT [ARGUMENT ...]

``ORDER`` is a JSON object: ``policy``, ``devices``, ``trace`` (a file for the record, or null) and
``values`` (a file for what the program observed, or null).
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from streamsan.sim.device.errors import ScheduleError, SimulationError

USAGE = 2
INTERRUPTED = 130


def main() -> None:
    """Do what the command line orders."""
    order, script = json.loads(sys.argv[1]), sys.argv[2]
    try:
        session = _Session(order)
    except (SimulationError, ScheduleError) as error:
        sys.stderr.write(f"streamsan: error: {error}\n")
        sys.exit(USAGE)
    atexit.register(session.leave)  # runs last: after the program's own, and its threads
    sys.argv = sys.argv[2:]
    here = str(Path(script).resolve().parent)
    if sys.flags.safe_path:
        sys.path.insert(0, here)
    else:
        sys.path[0] = here
    try:
        session.names = runpy.run_path(script, run_name="__main__")
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - told as Python tells it
        _tell(error)
        sys.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _tell(error: BaseException) -> None:
    """Print a traceback that begins with the program, as if nothing had started it."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _is_ours(file: str) -> bool:
    return file == __file__ or "runpy" in file


class _Session:
    """The run of one program: the device, the record and the observations."""

    def __init__(self, order: dict[str, Any]) -> None:
        from streamsan.sim.device.cuda_names import redirect_cuda
        from streamsan.sim.device.install import install

        self._order = order
        self._process = os.getpid()
        self.names: dict[str, Any] = {}
        recorded = order["trace"] is not None
        install(order["policy"], devices=order["devices"], record=recorded)
        redirect_cuda()
        self._observer = None
        if order["values"] is not None:
            from streamsan.sim.device.observed import Observer

            self._observer = Observer()
            self._observer.watch()

    def leave(self) -> None:
        """Write what was asked for. A forked worker that ends has nothing of its own to tell."""
        if os.getpid() != self._process:
            return
        from streamsan.sim.device.runtime import RT

        if self._order["trace"] is not None:
            from streamsan.traces import save
            from streamsan.traces.errors import StreamsanError

            try:
                save(RT.trace(), self._order["trace"])
            except StreamsanError as error:
                sys.stderr.write(f"streamsan: error: {error}\n")
        with RT.lock:
            RT.engine.drain_all()
        if RT.engine.failure is not None:
            sys.stderr.write(f"streamsan: warning: nobody waited for: {RT.engine.failure}\n")
        if self._observer is not None:
            from streamsan.sim.device.observed import left_over

            told = {"seen": self._observer.seen, "left": left_over(self.names)}
            Path(self._order["values"]).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
