"""The profiler beside a recording: device times, and the check that nothing was missed."""

from __future__ import annotations

import tempfile
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import profiler

from streamsan.traces.recorder.checked import check_file
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.matching import Matched, read


class Profiler:
    """Kineto with CUDA activities, from the start of a recording to its end."""

    def __init__(self) -> None:
        config = getattr(torch._C._profiler, "_ExperimentalConfig", None)  # noqa: SLF001
        more: dict[str, Any] = {}
        if config is not None:
            more["experimental_config"] = config(enable_cuda_sync_events=True)
        activities = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
        if "acc_events" in signature(profiler.profile).parameters:
            more["acc_events"] = True  # without it a warning: there is one cycle only
        self._profiler = profiler.profile(activities=activities, **more)
        self.matched: Matched | None = None

    def start(self) -> None:
        """Begin: what the device does before is over, so that it cannot be taken for missed.

        Raises:
            RecordError: another profiler is running.
        """
        torch.cuda.synchronize()
        try:
            self._profiler.start()
        except (RuntimeError, AssertionError) as error:
            raise RecordError(f"the profiler does not start: {error}") from None

    def stop(self) -> None:
        """End, once the device has done what was recorded."""
        torch.cuda.synchronize()
        self._profiler.stop()

    def check(self, path: Path) -> None:
        """Write the device times into the trace, and what was missed into its header.

        Raises:
            RecordError: the profiler saw nothing of the device.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "profile.json"
            self._profiler.export_chrome_trace(str(file))
            self.matched = check_file(path, read(file.read_bytes()))
        if not self.matched.activities:
            raise RecordError(
                "the profiler saw no activity of the device: is CUPTI in use by another tool?"
            )
