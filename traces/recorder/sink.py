"""Who records. Annotations go to the sink that began last; without one they do nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from streamsan.traces.ops import OpBase, RangeSpec


class Sink(Protocol):
    """A record in the making."""

    def emit(self, op: OpBase) -> None:
        """Append an op of the calling thread; thread and site are filled in here."""

    def range_of(self, value: object) -> RangeSpec | None:
        """Give the bytes that a tensor stands for; None for anything that is not recorded."""

    def kernel(
        self,
        name: str,
        run: Callable[..., object],
        arguments: Sequence[Any],
        reads: Sequence[Any],
        writes: Sequence[Any],
    ) -> None:
        """Run ``run(*arguments)`` as one kernel that accesses just these bytes."""


_SINKS: list[Sink] = []


def active() -> Sink | None:
    """Give the sink that annotations go to."""
    return _SINKS[-1] if _SINKS else None


def begin(sink: Sink) -> None:
    """Let annotations go to this sink, until it ends or a later one begins."""
    _SINKS.append(sink)


def end(sink: Sink) -> None:
    """Let annotations go to the sink of before."""
    _SINKS.remove(sink)
