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
    module,
    patches,
    recording,
    threads,
)
from streamsan.sim.device.errors import SimulationError
from streamsan.sim.device.internals import C, register_module, utils
from streamsan.sim.device.runtime import RT, Config
from streamsan.sim.device.tensor import NAME, SimTensor, rebuild

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

    Raises:
        SimulationError: torch has a CUDA build, or its place for a device is taken.
        ScheduleError: the policy is no schedule.
    """
    if not _KEPT:
        _check()
        _register()
    RT.installed = Config(policy, devices, memory, record, poison, seed)
    RT.restart(RT.installed)


def is_installed() -> bool:
    """Whether ``install`` was called."""
    return bool(_KEPT)


def _check() -> None:
    if torch.version.cuda is not None or torch.version.hip is not None:
        raise SimulationError(
            f"this is a GPU build of torch ({torch.__version__}): its own accelerator would stand "
            "beside the simulated one. Install the CPU build, or record the program on the GPU"
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
    _KEPT.extend((hooks, guard, copies))
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
