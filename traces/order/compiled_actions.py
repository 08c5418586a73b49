"""Which ops the lowering kernel can take, and what it does with each: one small code an op.

Everything that needs a look at dictionaries or at memory spaces that change stays ``PYTHON``: the
methods of ``Lowering``, which are the reference for the others too.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamsan.traces import ops as o
from streamsan.traces.instances import is_kind
from streamsan.traces.layout import LAYOUTS, bits_of
from streamsan.traces.ops import Kind, Semantics

if TYPE_CHECKING:
    from streamsan.traces.model import Trace

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Action(IntEnum):
    """What the kernel does with an op. The order matters: device work comes first."""

    PYTHON = 0
    ISSUE = 1
    RECORD = 2
    WAIT = 3
    COPY_RETURNS = 4
    """Work after whose end the call returns."""
    HOST = 5
    EVENT_SYNC = 6
    EVENT_QUERY = 7
    STREAM_SYNC = 8
    STREAM_QUERY = 9
    FORGET = 10
    """An event created or destroyed: it has no record now."""


_HOST_KINDS = (
    Kind.MARK, Kind.REGION_BEGIN, Kind.REGION_END, Kind.STREAM_CREATE, Kind.STREAM_DESTROY,
    Kind.HOST_READ, Kind.HOST_WRITE, Kind.HOST_ESCAPE, Kind.MALLOC, Kind.EVENT_QUERY,
    Kind.STREAM_QUERY, Kind.SLOT_DEFER, Kind.SLOT_RESOLVE, Kind.SLOT_READ, Kind.SLOT_CONSUME,
)  # fmt: skip
_DIRECT = {
    Kind.LAUNCH: Action.ISSUE, Kind.MEMSET: Action.ISSUE, Kind.HOST_FUNC: Action.ISSUE,
    Kind.MALLOC_ASYNC: Action.ISSUE, Kind.EVENT_RECORD: Action.RECORD,
    Kind.STREAM_WAIT_EVENT: Action.WAIT, Kind.EVENT_SYNCHRONIZE: Action.EVENT_SYNC,
    Kind.STREAM_SYNCHRONIZE: Action.STREAM_SYNC, Kind.EVENT_CREATE: Action.FORGET,
    Kind.EVENT_DESTROY: Action.FORGET, **dict.fromkeys(_HOST_KINDS, Action.HOST),
}  # fmt: skip
_EXTRAS_MATTER = (Kind.HOST_READ, Kind.HOST_WRITE, Kind.HOST_FUNC)
_SPACES = ("device", "pinned", "pageable", "managed")
_DEVICE, _PINNED, _PAGEABLE, _MANAGED = range(4)
_DIRECTIONS = dict(LAYOUTS[o.Memcpy].bits)["kind"]


def choose_actions(trace: Trace, semantics: Semantics) -> Codes:
    """Give the code of each op."""
    table = np.zeros(256, np.uint8)
    for kind, action in _DIRECT.items():
        table[kind] = action
    actions: Codes = table.take(trace.kind, mode="clip")
    _queries(trace, actions)
    memsets = np.flatnonzero(trace.kind == Kind.MEMSET)
    actions[memsets[_given(trace, memsets, o.Memset, "async_", False)]] = Action.PYTHON
    mallocs = np.flatnonzero(trace.kind == Kind.MALLOC)
    ordered = mallocs[_given(trace, mallocs, o.Malloc, "allocator", "stream_ordered")]
    actions[ordered[trace.stream_name[ordered] >= 0]] = Action.ISSUE
    copies = np.flatnonzero(trace.kind == Kind.MEMCPY)
    if len(copies):
        actions[copies] = _Copies(trace, copies).actions(semantics)
    if trace.extras:
        rare = np.fromiter(trace.extras, np.int64, len(trace.extras))
        actions[rare[is_kind(trace.kind[rare], *_EXTRAS_MATTER)]] = Action.PYTHON
    return actions


def quiet_frees(trace: Trace, semantics: Semantics, alone: Mask) -> NDArray[np.intp]:
    """Give the frees that are one host node each and hold nothing back: ``Lowering.on_free``.

    Their owner, if any, is a stream that is ``alone``: outside a legacy domain (R11).
    """
    buffers = trace.buffers
    at = np.flatnonzero(trace.kind == Kind.FREE)
    freed = np.flatnonzero(is_kind(trace.kind, Kind.FREE, Kind.FREE_ASYNC))
    times = np.bincount(buffers.of_op[freed], minlength=len(buffers))
    found: Mask = times == 1
    found[buffers.of_op[np.flatnonzero(trace.kind == Kind.RECORD_STREAM)]] = False
    first = trace.access_start[np.flatnonzero(trace.kind == Kind.MEMCPY)]
    cached = np.array([a == "caching_host" for a in buffers.allocator], bool)
    for side in (first, first + 1):  # torch may have noted a stream on these
        host = buffers.of_access[side]
        found[host[cached[host]]] = False
    if semantics.cuda_free_synchronizes:
        waits = np.array([a in ("plain", "stream_ordered") for a in buffers.allocator], bool)
        waits &= np.array([s in ("device", "managed") for s in buffers.space], bool)
        found &= ~(waits & (buffers.malloc >= 0))
    owner = buffers.owner
    found &= (owner < 0) | np.append(alone, True)[owner]
    return at[found[buffers.of_op[at]]]


def _queries(trace: Trace, actions: Codes) -> None:
    for kind, cls, action in (
        (Kind.EVENT_QUERY, o.EventQuery, Action.EVENT_QUERY),
        (Kind.STREAM_QUERY, o.StreamQuery, Action.STREAM_QUERY),
    ):
        at = np.flatnonzero(trace.kind == kind)
        actions[at[_given(trace, at, cls, "result", "success")]] = action


def _given(
    trace: Trace, at: NDArray[np.intp], cls: type[o.OpBase], field: str, value: object
) -> Mask:
    """Tell which ops were given this value of a field of few values."""
    places = [name for name, _ in LAYOUTS[cls].bits]
    mask = np.uint16(15 << (4 * places.index(field)))
    found: Mask = (trace.bits[at] & mask) == np.uint16(bits_of(cls, field, value))
    return found


class _Copies:
    """The copies of a trace, as ``Lowering.on_memcpy`` reads them, all at once."""

    def __init__(self, trace: Trace, at: NDArray[np.intp]) -> None:
        self.trace, self.at = trace, at
        buffers = trace.buffers
        code = {space: i for i, space in enumerate(_SPACES)}
        space = np.array([code[s] for s in buffers.space], np.uint8)
        first = trace.access_start[at]
        self.buffer = (buffers.of_access[first], buffers.of_access[first + 1])
        self.src, self.dst = space[self.buffer[0]], space[self.buffer[1]]
        from_host, to_host = _on_host(self.src), _on_host(self.dst)
        told: Mask = np.logical_or.reduce([self.given("kind", kind) for kind in _DIRECTIONS])
        self.upload: Mask = self.given("kind", "H2D") | (~told & from_host & ~to_host)
        self.download: Mask = self.given("kind", "D2H") | (~told & to_host & ~from_host)
        self.host_copy: Mask = self.given("kind", "H2H") | (~told & from_host & to_host)
        self.host_space = np.where(
            self.upload, self.src, np.where(self.download, self.dst, _DEVICE)
        )
        self.blocks = self.given("async_", False)

    def given(self, field: str, value: object) -> Mask:
        return _given(self.trace, self.at, o.Memcpy, field, value)

    def actions(self, semantics: Semantics) -> Codes:
        returns = self.returns(semantics)
        found = np.where(returns, Action.COPY_RETURNS, Action.ISSUE).astype(np.uint8)
        found[self.host_copy | self.reads_early() | self.registered() | self.notes()] = 0
        return found

    def returns(self, semantics: Semantics) -> Mask:
        """As ``Lowering._copy_returns``."""
        trace, pageable = self.trace, self.host_space == _PAGEABLE
        default = np.array(trace.streams.legacy, bool)[trace.streams.of_op[self.at]]
        legacy = self.given("wait", "legacy") | (default & ~self.given("wait", "stream"))
        found: Mask = self.blocks & ~(legacy & self.upload & pageable)
        if semantics.pageable_d2h_async_blocks:
            found |= ~self.blocks & self.download & pageable
        found = found & (self.upload | self.download)
        if semantics.managed_copies_block:
            found |= (self.src == _MANAGED) | (self.dst == _MANAGED)
        return found

    def reads_early(self) -> Mask:
        """Whether an upload's source is, or may be, read elsewhere than in the stream."""
        at_call = self.given("src_access", "call") | self.given("src_access", "any")
        by_default = (self.host_space == _PAGEABLE) & ~self.given("src_access", "stream")
        found: Mask = self.upload & (at_call | by_default)
        return found

    def registered(self) -> Mask:
        """Whether a buffer of the copy changes its space somewhere."""
        trace = self.trace
        changes = trace.buffers.of_op[np.flatnonzero(trace.kind == Kind.HOST_REGISTER)]
        found: Mask = np.isin(self.buffer[0], changes) | np.isin(self.buffer[1], changes)
        return found

    def notes(self) -> Mask:
        """Whether this is the first copy of its stream that torch notes on a block (R38)."""
        trace = self.trace
        host = np.where(self.upload, *self.buffer)
        cached = np.array([a == "caching_host" for a in trace.buffers.allocator], bool)
        raw = [i for i, name in enumerate(trace.names) if name == "raw"]
        noted = (self.upload | self.download) & ~self.blocks & cached[host]
        noted &= ~np.isin(trace.via[self.at], raw)
        key: NDArray[np.int64] = host.astype(np.int64) << 32
        key += trace.streams.of_op[self.at]
        at = np.flatnonzero(noted)
        found: Mask = np.zeros(len(self.at), bool)
        found[at[np.unique(key[at], return_index=True)[1]]] = True
        return found


def _on_host(space: Codes) -> Mask:
    found: Mask = (space == _PINNED) | (space == _PAGEABLE)
    return found
