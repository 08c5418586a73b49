"""Names in an Nsight Systems export: of streams, events, threads and memories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from streamsan.traces.formats.kineto_names import CopyKind, Range
from streamsan.traces.formats.nsys_db import Export
from streamsan.traces.formats.nsys_rows import NULL, Record, Stream, StreamInfo
from streamsan.traces.ops import Space

FIRST_NULL = 7
"""CUPTI's number of the null stream of a process's first context, where no table says it."""

_SPACES: dict[str, Space] = {
    "PAGEABLE": "pageable", "PINNED": "pinned", "DEVICE": "device", "ARRAY": "device",
    "MANAGED": "managed", "DEVICE_STATIC": "device", "MANAGED_STATIC": "managed",
}  # fmt: skip
_MEMORIES = dict(
    enumerate(
        (
            *("PAGEABLE", "PINNED", "DEVICE", "ARRAY"),
            *("MANAGED", "DEVICE_STATIC", "MANAGED_STATIC", "UNKNOWN"),
        )
    )
)
"""This table's own numbers; CUPTI's differ."""
_COPIES = {
    1: "HTOD", 2: "DTOH", 3: "HTOA", 4: "ATOH", 5: "ATOA", 6: "ATOD", 7: "DTOA", 8: "DTOD",
    9: "HTOH", 10: "PTOP", 11: "UVM_HTOD", 12: "UVM_DTOH", 13: "UVM_DTOD",
}  # fmt: skip
_KINDS: dict[str, CopyKind] = {
    "HTOD": "H2D", "HTOA": "H2D", "DTOH": "D2H", "ATOH": "D2H", "HTOH": "H2H", "PTOP": "P2P",
    "DTOD": "D2D", "ATOA": "D2D", "ATOD": "D2D", "DTOA": "D2D",
}  # fmt: skip
MIGRATION = "UVM"
"""A copy that no call asked for: pages of managed memory move by themselves."""


class Ends(NamedTuple):
    """What a copy's numbers mean: its word such as ``HTOD``, and the memories of its ends."""

    word: str
    src: Space
    dst: Space

    @property
    def name(self) -> str:
        """What the op is called: as in a PyTorch profiler file."""
        word = self.word.replace("TO", "to", 1)
        return f"Memcpy {word} ({self.src.capitalize()} -> {self.dst.capitalize()})"

    @property
    def kind(self) -> CopyKind | None:
        """The copy's kind as the trace writes it; None for page migrations and unknown ones."""
        return _KINDS.get(self.word)


class Memories:
    """Reads kinds of copies and memories, by the file's own tables where it has them."""

    def __init__(self, export: Export) -> None:
        """Read the tables."""
        self._copies = _words(export, "ENUM_CUDA_MEMCPY_OPER", _COPIES)
        self._memories = _words(export, "ENUM_CUDA_MEM_KIND", _MEMORIES)

    def space(self, kind: int | None, end: str) -> Space:
        """Give a memory. Host memory of an unknown kind is taken as pinned: no edge follows."""
        word = self._memories.get(-1 if kind is None else kind, "UNKNOWN")
        return _SPACES.get(word, "pinned" if end == "H" else "device")

    def ends(self, kind: int | None, src: int | None, dst: int | None) -> Ends:
        """Say what a copy is."""
        word = self._copies.get(-1 if kind is None else kind, "UNKNOWN")
        first, _, last = word.removeprefix(MIGRATION + "_").partition("TO")
        return Ends(word, self.space(src, first), self.space(dst, last))


def _words(export: Export, table: str, known: Mapping[int, str]) -> dict[int, str]:
    found = export.texts(table, "id", "name")
    return {**known, **{key: name.rpartition("_KIND_")[2] for key, name in found.items()}}


def empty(space: Space) -> Range:
    """Give a range of no bytes in a memory: which bytes an op touched is not in the file."""
    return (f"nsys:{space}", 0, 0)


class Names:
    """Names streams and events so that no two of different devices or processes are the same."""

    def __init__(self, streams: Mapping[Stream, int], info: Mapping[Stream, StreamInfo]) -> None:
        """Name each stream; the mapping gives its device."""
        self._info = info
        self._told = {(s.pid, s.context) for s in info}
        contexts: dict[int, set[tuple[int, int]]] = {}
        for stream, device in streams.items():
            contexts.setdefault(device, set()).add((stream.pid, stream.context))
        self._shared = {device for device, users in contexts.items() if len(users) > 1}
        self._pids = sorted({stream.pid for stream in streams})
        first: dict[int, int] = {}
        for stream in streams:
            first[stream.pid] = min(stream.context, first.get(stream.pid, stream.context))
        self._first = first
        self.device = dict(streams)
        self.of = {stream: self._name(stream, device) for stream, device in streams.items()}
        self.guessed = sum(stream not in info for stream in streams)
        """Streams of which the file does not say what they are."""

    def _name(self, stream: Stream, device: int) -> str:
        if device in self._shared:
            return f"{device}:p{self._pids.index(stream.pid)}.{stream.context}:{stream.number}"
        return "0" if self.is_null(stream) else f"{device}:{stream.number}"

    def is_null(self, stream: Stream) -> bool:
        """Whether a stream is the legacy default stream of its context."""
        info = self._info.get(stream)
        if info is not None and info.flag is not None:
            return info.flag == NULL
        return stream.number == FIRST_NULL and stream.context == self._first.get(stream.pid)

    def event(self, record: Record) -> str:
        """Name one record of an event: its id alone is used again, the record's is not."""
        device = self.device.get(record.stream, 0)
        return f"{device}:p{self._index(record.stream.pid)}:e{record.event}.{record.record}"

    def _index(self, pid: int) -> int:
        return self._pids.index(pid) if pid in self._pids else len(self._pids)


def devices_of(work: Iterable[tuple[Stream, int]], others: Collection[Stream]) -> dict[Stream, int]:
    """Give the device of each stream: a context is of one device, which its work names."""
    found: dict[Stream, int] = {}
    by_context: dict[tuple[int, int], int] = {}
    for stream, device in work:
        found[stream] = device
        by_context[stream.pid, stream.context] = device
    for stream in others:
        of_context = by_context.get((stream.pid, stream.context))
        if of_context is not None:
            found.setdefault(stream, of_context)
    return found
