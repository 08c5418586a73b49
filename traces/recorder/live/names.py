"""Names of streams, events and buffers: the program's own where it gives one, each once.

Streams are told apart by (device, handle), never by Python objects: two objects may be one
stream, and pool streams come round again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import count

from streamsan.traces import ops as o
from streamsan.traces.recorder.annotate import current_name
from streamsan.traces.recorder.light import StreamCreate
from streamsan.traces.recorder.live.platform import Platform

_OURS = re.compile(r"[a-z][0-9]+|0|ptds")
_SPECIAL = {0: "0", 1: "0", 2: "ptds"}
"""Handles of the default streams, one of each on every device."""


class Names:
    """Gives and remembers names.

    Args:
        platform: is asked what a stream is.
        emit: takes the op by which a stream is made known.
    """

    def __init__(self, platform: Platform, emit: Callable[[o.OpBase], None]) -> None:
        self._platform = platform
        self._emit = emit
        self._given: Counter[str] = Counter()
        self._numbers = {prefix: count(1) for prefix in "dhpeskg"}
        self._streams: dict[int, tuple[str, int]] = {}
        self._wanted: dict[int, str] = {}
        self._events: dict[int, str] = {}

    def fresh(self, prefix: str) -> str:
        """Give a name that nothing else has. Only the program's own names are remembered."""
        wanted = current_name()
        return f"{prefix}{next(self._numbers[prefix])}" if wanted is None else self.unique(wanted)

    def unique(self, name: str) -> str:
        """Make a name of the program unique by a number behind it; ours are letter and number."""
        name = name.replace("#", "_")
        if _OURS.fullmatch(name):
            name += "_"
        self._given[name] += 1
        times = self._given[name]
        return name if times == 1 else f"{name}#{times}"

    def want(self, handle: int) -> None:
        """Let a stream that is being made bear the name that holds now."""
        wanted = current_name()
        if wanted is not None and handle not in self._streams and handle not in _SPECIAL:
            self._wanted.setdefault(handle, wanted)

    def stream(self, handle: int, device: int | None = None) -> tuple[str, int]:
        """Give a stream's name and device; ``device`` where it is known."""
        special = _SPECIAL.get(handle)
        if special is not None:
            return special, self._platform.current_device() if device is None else device
        found = self._streams.get(handle)
        if found is None:
            device = self._platform.current_device() if device is None else device
            found = self._streams[handle] = self._create(handle, device)
        return found

    def _create(self, handle: int, device: int) -> tuple[str, int]:
        facts = self._platform.stream_facts(device, handle)
        wanted = self._wanted.pop(handle, None)
        name = self.unique(wanted) if wanted else f"s{next(self._numbers['s'])}"
        self._emit(
            StreamCreate(stream=name, flags=facts.flags, priority=facts.priority, device=device)
        )
        return name, device

    def event(self, handle: int, wanted: str | None = None) -> str:
        """Give an event's name: ``wanted``, or what holds now, if it has none yet."""
        found = self._events.get(handle)
        if found is None:
            found = self._events[handle] = self.unique(wanted) if wanted else self.fresh("e")
        return found

    def forget_event(self, handle: int) -> str | None:
        """End an event's name: the handle may come again."""
        return self._events.pop(handle, None)
