"""Happens-before is a partial order; a schedule is one of its linear extensions; a race is a
pair whose order two schedules disagree on.

This is the front door of streamsan. It is lazy: importing it loads none of the rooms behind it,
so that a command line, a test plug-in or a training script pays only for what it uses.

    trace = streamsan.load("step.trace.jsonl")
    for finding in streamsan.check(trace):
        print(finding)
"""  # noqa: D205 - the sentence is longer than a line

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsan.checkers import Finding
    from streamsan.checkers.scope import HazardError, check
    from streamsan.traces import Trace, load
    from streamsan.traces.order import HappensBefore
    from streamsan.traces.recorder.annotate import kernel, mark, named, region
    from streamsan.traces.recorder.record import Recording, record
    from streamsan.traces.recorder.slots import Slot, slot

__all__ = [
    "Finding", "HappensBefore", "HazardError", "Recording", "Slot", "Trace", "__version__", "check",
    "kernel", "load", "mark", "named", "record", "region", "slot",
]  # fmt: skip

__version__ = "0.1.0"

_HOMES = {
    "Finding": "streamsan.checkers",
    "HappensBefore": "streamsan.traces.order",
    "Trace": "streamsan.traces",
    **dict.fromkeys(("HazardError", "check"), "streamsan.checkers.scope"),
    "load": "streamsan.traces",
    **dict.fromkeys(("kernel", "mark", "named", "region"), "streamsan.traces.recorder.annotate"),
    **dict.fromkeys(("Recording", "record"), "streamsan.traces.recorder.record"),
    **dict.fromkeys(("Slot", "slot"), "streamsan.traces.recorder.slots"),
}


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> object:
        """Fetch a public name from the module it lives in, at its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names too that nobody has used yet."""
    return sorted({*globals(), *__all__})
