"""Which device is recorded, where none keeps a record of its own."""

from __future__ import annotations

from typing import Any

from streamsan.traces.recorder.errors import RecordError

_NO_TORCH = "recording needs torch: install streamsan[torch] beside your own build"
_NO_CUDA = (
    "there is nothing to record: this torch sees no CUDA device. On a machine without a GPU "
    "install the simulated one first (streamsan.sim.install()), or use `streamsan record --sim`"
)


def make(deepest: int, profile: bool) -> tuple[Any, Any]:
    """Make the watch of the CUDA device, and the profiler if one is wanted.

    Raises:
        RecordError: there is no torch, or no device.
    """
    try:
        import torch
    except ImportError:
        raise RecordError(_NO_TORCH) from None
    if not torch.cuda.is_available():
        raise RecordError(_NO_CUDA)
    from streamsan.traces.recorder.live.cuda import Cuda
    from streamsan.traces.recorder.live.session import Session

    profiler = None
    if profile:
        from streamsan.traces.recorder.live.profiling import Profiler

        profiler = Profiler()
    return Session(Cuda(), deepest, profiled=profile), profiler
