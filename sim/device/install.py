"""Putting the simulated device into torch: once, for the life of the process."""

from __future__ import annotations

import sys
from typing import Any

import torch

from streamsan.sim.device import (
    amp,
    backward,
    copies,
    declared,
    factories,
    gpu,
    indexing,
    module,
    patches,
    recording,
    threads,
)
from streamsan.sim.device.errors import SimulationError
from streamsan.sim.device.internals import C, register_module, utils
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.state import Config
from streamsan.sim.device.tensor import NAME, SimTensor, rebuild

_OLDEST = "2.10"
_KEPT: list[object] = []
"""What C++ holds without owning it."""


def install(
    policy: str = "eager",
    *,
    devices: int = 2,
    memory: int = 8 << 30,
    record: bool = True,
    poison: bool = True,
    seed: int = 0,
) -> None:
    """Make ``torch.device("simcuda")`` and ``torch.simcuda`` work, and begin a run.

    Calling it again only begins a new run: work that is queued is finished first.

    The device takes the place of torch's streams, events and pinned memory, so a GPU is hidden from
    this process, and from those it starts (``CUDA_VISIBLE_DEVICES``), until they end. Using it all
    the same is a SimulationError that says so; so is installing after CUDA was used.

    Args:
        policy: the schedule; ``sim/device/policies.py`` lists them.
        devices: how many devices there are.
        memory: the bytes of each.
        record: whether to keep the trace.
        poison: whether freed memory is overwritten.
        seed: of each device's random numbers.

    Raises:
        SimulationError: CUDA was used in this process, torch is too old, or its place for a device
            is taken.
        ScheduleError: the policy is no schedule.
    """
    if not _KEPT:
        _check()
        gpu.hide()
        _register()
    RT.installed = Config(policy, devices, memory, record, poison, seed)
    RT.restart(RT.installed)


def is_installed() -> bool:
    """Whether ``install`` was called."""
    return bool(_KEPT)


def _check() -> None:
    if not hasattr(C, "_acc"):  # by which Python backs a device
        raise SimulationError(
            f"the simulated device needs torch {_OLDEST} or newer; this is {torch.__version__}"
        )
    taken = C._get_privateuse1_backend_name()  # noqa: SLF001
    if taken != "privateuseone":
        raise SimulationError(
            f"torch's place for one more device is taken by {taken!r}; run the program in a "
            "process that does not load it"
        )


def _register() -> None:
    utils.rename_privateuse1_backend(NAME)
    register_module(NAME, module)
    sys.modules[f"torch.{NAME}"] = module
    utils.generate_methods_for_privateuse1_backend(for_storage=False)
    acc: Any = C._acc  # noqa: SLF001
    hooks, guard = _hooks(acc), _guard(acc)
    acc.register_python_privateuseone_hook(hooks)
    acc.register_python_privateuseone_device_guard(guard)
    _KEPT.extend((hooks, guard, copies, indexing))
    factories.register()
    amp.register()
    patches.replace_all()
    threads.watch()
    backward.follow_streams()
    declared.listen()
    recording.offer()
    _befriend()


def _hooks(acc: Any) -> object:
    class Hooks(acc.PrivateUse1Hooks):  # type: ignore[misc]
        def is_available(self) -> bool:
            return True

        def has_primary_context(self, index: int) -> bool:
            del index
            return True

        def is_built(self) -> bool:
            return True

    return Hooks()


def _guard(acc: Any) -> object:
    class Guard(acc.DeviceGuard):  # type: ignore[misc]
        def type_(self) -> Any:
            return C._autograd.DeviceType.PrivateUse1  # noqa: SLF001

    return Guard()


def _befriend() -> None:
    """Tell torch's libraries of the tensor type where they keep lists."""
    from torch.optim import optimizer

    kinds: Any = optimizer._foreach_supported_types  # noqa: SLF001
    if SimTensor not in kinds:
        kinds.append(SimTensor)
    torch.serialization.add_safe_globals([rebuild])
