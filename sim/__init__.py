"""Running traces and programs without a GPU: a machine, a device and a scheduler.

Beside ``streamsan.checkers`` and independent of it: neither imports the other. The device is
made of torch, which is imported at the first use of one of its names, never before::

    from streamsan import sim

    sim.install()
    run = sim.run(program, policy="lazy")
    findings = streamsan.check(run.trace)

Schedules are ``eager``, ``lazy``, ``random(7)``, ``pct(3,7)``, ``timed``, ``directed(12)`` and
``replay(...)``, which ``run.schedule`` gives: see ``streamsan.sim.device.policies``. A GPU that is
there is hidden from the process: see ``install``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsan.sim.device.annotate import kernel
    from streamsan.sim.device.cuda_names import redirect_cuda
    from streamsan.sim.device.errors import (
        KernelError,
        ScheduleError,
        SimulationError,
        UnsupportedError,
    )
    from streamsan.sim.device.install import install, is_installed
    from streamsan.sim.device.session import Run, recording, run, schedule, session, trace

__all__ = [
    "KernelError", "Run", "ScheduleError", "SimulationError", "UnsupportedError", "install",
    "is_installed", "kernel", "recording", "redirect_cuda", "run", "schedule", "session", "trace",
]  # fmt: skip

_HOMES = {
    "annotate": ("kernel",),
    "cuda_names": ("redirect_cuda",),
    "errors": ("KernelError", "ScheduleError", "SimulationError", "UnsupportedError"),
    "install": ("install", "is_installed"),
    "session": ("Run", "recording", "run", "schedule", "session", "trace"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> object:
        """Fetch a public name from the module it lives in, at its first use (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        errors = import_module("streamsan.sim.device.errors")
        try:
            home = import_module(f"streamsan.sim.device.{_HOME[name]}")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise errors.SimulationError(
                "the simulated device needs torch: install streamsan[torch], the CPU build"
            ) from None
        value = getattr(home, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names too that nobody has used yet."""
    return sorted({*globals(), *__all__})
