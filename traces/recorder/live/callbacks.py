"""Callbacks that torch calls, and whose errors it swallows: they are kept, and told at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

NAMES = (
    "event_creation", "event_deletion", "event_record", "event_wait", "memory_allocation",
    "memory_deallocation", "stream_creation", "device_synchronization", "stream_synchronization",
    "event_synchronization",
)  # fmt: skip
_KEPT = 10


class Guarded:
    """The callbacks of an object, each of which keeps its errors.

    Args:
        target: has a method for each of ``NAMES``.
        ready: whether the calling thread is followed.
        stray: called where a thread that is not followed issues something.
    """

    def __init__(
        self, target: object, ready: Callable[[], bool], stray: Callable[[], None]
    ) -> None:
        self.event_creation: Any
        self.event_deletion: Any
        self.event_record: Any
        self.event_wait: Any
        self.memory_allocation: Any
        self.memory_deallocation: Any
        self.stream_creation: Any
        self.device_synchronization: Any
        self.stream_synchronization: Any
        self.event_synchronization: Any
        self.errors: list[Exception] = []
        self.listening = True
        self._ready = ready
        self._stray = stray
        for name in NAMES:
            setattr(self, name, self._guard(getattr(target, name)))

    def _guard(self, plain: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(plain)
        def call(*args: Any) -> None:
            if not self.listening:
                return
            try:
                if not self._ready():
                    self._stray()
                plain(*args)
            except Exception as error:  # noqa: BLE001 - torch would swallow it
                if len(self.errors) < _KEPT:
                    self.errors.append(error)

        return call
