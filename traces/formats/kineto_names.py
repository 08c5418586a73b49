"""Names: of streams and events in a trace, and what the names of copies and fills say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from streamsan.traces.formats.kineto_facts import Stream
from streamsan.traces.formats.kineto_sync import Binding
from streamsan.traces.ops import Space

LEGACY_ID = 7
"""CUPTI's number of the legacy default stream, which is PyTorch's default (5Q)."""
SPACES: tuple[Space, ...] = ("device", "pinned", "pageable", "managed")
COPIES = frozenset({"gpu_memcpy", "Memcpy"})
FILLS = frozenset({"gpu_memset", "Memset"})
"""The categories of copies and fills."""
_COPY = re.compile(r"Memcpy (\w)\w*to(\w)\w*(?: \((.+) -> (.+)\))?")
_FILL = re.compile(r"Memset \((.+)\)")
_WORDS: dict[str, Space] = {
    "Pageable": "pageable",
    "Pinned": "pinned",
    "Host": "pinned",
    "Managed": "managed",
    "Managed Static": "managed",
}
CopyKind = Literal["H2D", "D2H", "D2D", "P2P", "H2H"] | None
Range = tuple[str, int, int]


class Copy(NamedTuple):
    """What a copy's name says."""

    kind: CopyKind
    src: Range
    dst: Range


class Names:
    """Names of streams and events, unique in the process.

    The legacy stream is ``"0"``, others are ``"DEVICE:STREAM"``; with several contexts on a
    device the context stands between. HIP numbers hardware queues: there is no legacy one.
    """

    def __init__(self, streams: Iterable[Stream], *, hip: bool) -> None:
        """Name ``streams``."""
        known = dict.fromkeys(streams)
        contexts = {(s.device, s.context) for s in known}
        self._several = {d for d, _ in contexts if sum(d == e for e, _ in contexts) > 1}
        self._hip = hip
        self.of = {stream: self._name(stream) for stream in known}
        self.devices = {stream.device for stream in known}

    def _name(self, stream: Stream) -> str:
        if stream.device in self._several:
            return f"{stream.device}:{stream.context}:{stream.number}"
        if stream.number == LEGACY_ID and not self._hip:
            return "0"
        return f"{stream.device}:{stream.number}"

    def event(self, binding: Binding) -> str:
        """Name an event, such as ``"0:e9"``. Ids are reused, so one name is many records."""
        device, context, number = binding.event
        return f"{device}:{context}:e{number}" if device in self._several else f"{device}:e{number}"


@lru_cache(1024)
def copy_of(name: str) -> Copy:
    """Read the name of a copy, such as ``Memcpy DtoH (Device -> Pageable)``.

    HIP does not say whether host memory is pinned. It is then taken as pinned, which gives
    no edge to the host that might not exist.
    """
    match = _COPY.match(name)
    if match is None:
        return Copy(None, empty("device"), empty("device"))
    ends = "".join("H" if letter == "H" else "D" for letter in match.group(1, 2))
    kinds: dict[str, CopyKind] = {"HD": "H2D", "DH": "D2H", "HH": "H2H", "DD": "D2D"}
    kind = "P2P" if match[1] + match[2] == "PP" else kinds[ends]
    words = [
        match[i] or ("Host" if end == "H" else "Device")
        for i, end in zip((3, 4), ends, strict=True)
    ]
    src, dst = (empty(_WORDS.get(word, "device")) for word in words)
    return Copy(kind, src, dst)


@lru_cache(256)
def fill_of(name: str) -> Range:
    """Read the name of a fill, such as ``Memset (Device)``."""
    match = _FILL.match(name)
    return empty(_WORDS.get(match[1], "device") if match else "device")


def empty(space: Space) -> Range:
    """Give a range of no bytes in a memory: which bytes an op touched is not known (5R)."""
    return (f"kineto:{space}", 0, 0)
