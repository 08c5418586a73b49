"""What torch's profiler, and not streamsan, says of a run: device at work, host at a wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

WAITS = ("Synchronize", "Memcpy", "EventQuery")
"""Parts of the names of runtime calls in which a host thread may wait: copies that are not from
or to pinned memory wait inside their own call."""


@dataclass(frozen=True)
class Load:
    """Microseconds of one run.

    Args:
        device: that the device works, kernels and copies added up.
        copies: of these, copies.
        waits: that the host spends in calls that may wait.
    """

    device: float
    copies: float
    waits: float


def profiled(serve: Callable[[], None]) -> Load:
    """Run under torch's profiler with the device's activities alone, which slows little.

    Raises:
        RuntimeError: the profiler does not run, or sees no device.
    """
    from torch.profiler import ProfilerActivity, profile

    more: dict[str, Any] = (
        {"acc_events": True} if "acc_events" in signature(profile).parameters else {}
    )
    with profile(activities=[ProfilerActivity.CUDA], **more) as profiler:
        serve()
    device = copies = waits = 0.0
    for each in profiler.key_averages():
        if each.device_type.name == "CUDA":
            device += each.self_device_time_total
            copies += each.self_device_time_total * each.key.startswith("Memcpy")
        elif any(word in each.key for word in WAITS):
            waits += each.self_cpu_time_total
    if not device:
        raise RuntimeError("torch's profiler saw no activity of the device")
    return Load(device, copies, waits)
