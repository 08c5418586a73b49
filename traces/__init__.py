"""What happened, and in what order it had to happen. Imports no other part of streamsan."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsan.traces.errors import TraceError, UsageError
    from streamsan.traces.formats import load, save
    from streamsan.traces.model import Trace

__all__ = ["Trace", "TraceError", "UsageError", "load", "save"]

_HOMES = {
    "Trace": "streamsan.traces.model",
    "TraceError": "streamsan.traces.errors",
    "UsageError": "streamsan.traces.errors",
    "load": "streamsan.traces.formats",
    "save": "streamsan.traces.formats",
}


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> object:
        """Fetch a public name from the module it lives in, at its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
