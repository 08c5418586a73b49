"""The facts of a PyTorch profiler file, sorted by what they are; everything else is dropped.

Categories and arguments: section 3 of the page on trace sources. Flows prove nothing and are
not looked at; neither are ``pid`` and ``tid`` of GPU rows, which may collide (section 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw

from streamsan.traces.formats.kineto_events import Event

LIMIT = 1 << 61
_Time = Annotated[int, Meta(gt=-LIMIT // 1000, lt=LIMIT // 1000)]
_MAX_DIGITS = 18
_MAX_DEVICE = 1 << 31
_NO_STREAM = (-1, 4294967295, "")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_EMPTY = Raw()
_INTEGERS = msgspec.json.Decoder(list[_Time])
_SYNC_KINDS = {
    "DeviceSynchronize": "device", "CtxSynchronize": "device", "ThreadSynchronize": "device",
    "StreamSynchronize": "stream", "EventSynchronize": "event", "EventQuery": "query",
    "StreamQuery": "query", "StreamWaitEvent": "wait", "EventRecord": "record",
    "EventRecordWithFlags": "record", "LaunchHostFunc": "opaque", "StreamAddCallback": "opaque",
    "StreamWaitValue": "opaque", "StreamWriteValue": "opaque", "StreamBatchMemOp": "opaque",
    "Free": "opaque", "MemFree": "opaque", "GraphLaunch": "graph",
}  # fmt: skip
_STEM = re.compile(r"(?:cuda|cu|hip)([A-Z][A-Za-z]*?)(?:32|64)?(?:_(?:v\d+|ptsz|ptds|spt))*")
_LAUNCHES = re.compile(r"Launch|Memcpy|Memset")
_IDLE = re.compile(r"Get[A-Z]|IsCapturing|Occupancy|FuncSet|PeekAt")
"""Calls that ask or set something: they issue nothing, and are a large part of all calls."""
VIAS = {
    "aten::is_nonzero": "bool", "aten::repeat_interleave": "repeat_interleave",
    "aten::_unique2": "unique", "aten::unique_consecutive": "unique",
    "aten::unique_dim": "unique", "aten::masked_select": "mask_index", "aten::index": "index",
    "aten::index_put_": "index", "aten::_index_put_impl_": "index", "aten::nonzero": "nonzero",
    "aten::item": "item", "aten::_local_scalar_dense": "item", "aten::to": "to",
    "aten::_to_copy": "to", "aten::copy_": "copy_",
}  # fmt: skip
"""What the program wrote, by the operator that encloses a copy's call."""


class Stream(NamedTuple):
    """A stream as CUPTI numbers it; ``context`` is None on HIP."""

    device: int
    context: int | None
    number: int | str


_STEP = 2


class Facts:
    """The events that say something about streams.

    Args:
        functions: keep every operator, for an execution trace to be joined to.
    """

    def __init__(self, *, functions: bool = False) -> None:
        """Start with none."""
        self.functions: list[Event] = []
        self._keeps_functions = functions
        self.work: list[Event] = []
        self.calls: list[Event] = []
        self.syncs: list[Event] = []
        self.records: list[Event] = []
        self.steps: list[Event] = []
        self.operators: list[Event] = []
        self.idle: set[int | None] = set()
        """Correlation ids of calls that issue nothing."""
        self._named: dict[str, str] = {}
        self._told: dict[str, int] = {}
        self._groups = {
            "kernel": self.work, "gpu_memcpy": self.work, "gpu_memset": self.work,
            "Kernel": self.work, "Memcpy": self.work, "Memset": self.work,
            "cuda_runtime": self.calls, "cuda_driver": self.calls, "Runtime": self.calls,
            "cuda_sync": self.syncs, "cuda_event": self.records,
            "cpu_op": self.operators, "Operator": self.operators,
            "user_annotation": self.operators,
        }  # fmt: skip

    def take(self, events: Iterable[Event]) -> None:
        """Keep the facts among ``events``, with their times in ns of the file's own clock."""
        kept: list[Event] = []
        groups, operators, calls, told = self._groups, self.operators, self.calls, self._told
        for event in [event for event in events if event.cat in groups]:
            group, name = groups[event.cat], event.name
            if group is operators:
                wanted = told.get(name)  # a few names stand for almost all operators
                if wanted is None:
                    is_step = name.startswith("ProfilerStep#")
                    wanted = told[name] = _STEP if is_step else int(name in VIAS)
                if self._keeps_functions:
                    self.functions.append(event)
                if not wanted:
                    if self._keeps_functions:
                        kept.append(event)
                    continue
                if wanted == _STEP:
                    group = self.steps
            elif group is calls and is_idle(name):
                self.idle.add(event.args.correlation)
                continue
            group.append(event)
            kept.append(event)
        self._finish(kept)

    def _finish(self, kept: list[Event]) -> None:
        """Turn times into ns, share equal names and let go of the chunk's bytes."""
        named = self._named
        begins = nanoseconds([event.ts for event in kept])
        lengths = nanoseconds([event.dur for event in kept])
        for event, begin, length in zip(kept, begins, lengths, strict=True):
            event.ts = event.dur = _EMPTY
            event.t = begin
            # Negative lengths are none: K clamps them.
            event.end = begin + length if begin is not None and length and length > 0 else begin
            event.name = named.setdefault(event.name, event.name)


def nanoseconds(times: Sequence[Raw]) -> list[int | None]:
    """Turn microseconds, as the file writes them, into integer ns, exactly (section 2)."""
    try:
        # One array of integers decodes many times faster than Python reads one by one.
        whole = _INTEGERS.decode(b"[" + b",".join(times) + b"]")
    except msgspec.MsgspecError:
        whole = []
    if len(whole) == len(times):
        return [time * 1000 for time in whole]
    return [_nanoseconds(bytes(time)) for time in times]


def _nanoseconds(text: bytes) -> int | None:
    whole, _, fraction = text.strip(b'"').partition(b".")
    try:
        found = int(whole + (fraction + b"000")[:3])
    except ValueError:
        try:
            exact = Decimal(text.strip(b'"').decode())
            if exact.adjusted() > _MAX_DIGITS:  # 1e99999999 would be an integer of 40 MB
                return None
            found = int(exact * 1000)
        except (ArithmeticError, InvalidOperation, ValueError):
            return None
    return found if abs(found) < LIMIT else None


def stream_of(event: Event, number: int | str | None) -> Stream | None:
    """Give a stream of the event's device and context; None if a part is missing."""
    args = event.args
    device = args.device
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        number = int(number)
    if device is None or not 0 <= device < _MAX_DEVICE or number is None or number in _NO_STREAM:
        return None
    return Stream(device, args.context, number)


@lru_cache(4096)
def is_idle(name: str) -> bool:
    """Tell whether an API call issues nothing."""
    return _IDLE.search(name) is not None


@lru_cache(4096)
def call_kind(name: str) -> str:
    """Say what an API call is: a word of ``_SYNC_KINDS``, ``launch``, or nothing."""
    match = _STEM.fullmatch(name)
    kind = _SYNC_KINDS.get(match[1], "") if match else ""
    return kind or ("launch" if _LAUNCHES.search(name) else "")
