"""A GPU beside the simulated device: hidden for the life of the process.

The device takes the place of torch's streams, events, pinned memory and generators, so one
process cannot use both. Where torch has a GPU build, its GPUs are hidden before anything starts
them, and whatever asks for one after all is told so. Whether there is a GPU is never asked: the
question alone would start the driver.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

import torch

from streamsan.sim.device.errors import SimulationError

_IN_USE = (
    "this process uses its GPU already, and the simulated device would take the place of torch's "
    "streams and pinned memory there: install it before the first use of CUDA, or in a process of "
    "its own"
)
_HIDDEN = (
    "the GPU is hidden in this process, where the simulated device was installed: write "
    "device='simcuda', call streamsan.sim.redirect_cuda() to let cuda mean it, or use the GPU in "
    "a process of its own"
)


def hide() -> None:
    """Hide the GPUs of a GPU build of torch from this process, and from those it starts.

    Raises:
        SimulationError: the process uses one already.
    """
    if torch.version.cuda is None and torch.version.hip is None:
        return
    cuda: Any = torch.cuda
    if cuda.is_initialized():
        raise SimulationError(_IN_USE)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if torch.version.hip is not None:
        os.environ["HIP_VISIBLE_DEVICES"] = "-1"
    cuda.is_available, cuda.device_count = _unavailable, _none
    for home in (cuda, cuda.memory, cuda.random):
        home._lazy_init = _refuse  # noqa: SLF001 - what starts CUDA, whoever asks


def _unavailable() -> bool:
    """Say that no CUDA device is there."""
    return False


def _none() -> int:
    """Count no CUDA device."""
    return 0


def _refuse() -> NoReturn:
    """Tell whoever starts CUDA.

    Raises:
        SimulationError: always.
    """
    raise SimulationError(_HIDDEN)
