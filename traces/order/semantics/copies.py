"""Copies and fills: which of them make the host wait, and where their accesses happen."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics
from streamsan.traces.order.edges import Line, Reason
from streamsan.traces.order.semantics.walk import Walk

HOST_SPACES = ("pinned", "pageable")


class Copies(Walk):
    """R16 to R25, R39, R46, and what the pinned allocator notes (R38)."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Start with nothing noted."""
        super().__init__(trace, semantics)
        self.side_lanes: dict[tuple[int, int], int] = {}
        self.registered: set[int] = set()
        self.noted: dict[int, list[int]] = {}

    def on_memset(self, op: int) -> None:
        """R25: a synchronous memset returns when done for pinned memory, else at once."""
        node = self.issue(op)
        view = self.trace[op]
        if view.bit("async_") is False:
            space = self.space(self.trace.access_start[op])
            if space == "pinned" or (space == "managed" and self.semantics.managed_memset_blocks):
                self.returns(op, node, Reason.MEMSET_RETURNS)

    def on_memcpy(self, op: int) -> None:
        """R16 to R24, R39, R46: see the table in section 3."""
        view = self.trace[op]
        first = int(self.trace.access_start[op])
        src, dst = self.space(first), self.space(first + 1)
        kind = copy_kind(view.bit("kind"), src, dst)
        blocks = view.bit("async_") is False
        if kind == "H2H":
            self._host_copy(op)
            return
        host_side = src if kind == "H2D" else dst if kind == "D2H" else "device"
        legacy = blocks and (view.bit("wait") or self._default_wait(op)) == "legacy"
        if kind == "H2D":
            self._read_source(op, first, host_side, view.bit("src_access"), drains=legacy)
        node = self.issue(op)
        if kind == "H2D" and first in self.access_node:
            side = self.access_node[first]
            if self.lane_line[self.node_lane[side]] is Line.SIDE:
                self.edge(side, node, Reason.COPY_READS)
        self._note(op, first, kind)
        if self._copy_returns(kind, host_side, (src, dst), blocks=blocks, legacy=legacy):
            self.returns(op, node, Reason.COPY_RETURNS)

    def _default_wait(self, op: int) -> str:
        return "legacy" if self.trace.streams.legacy[self.stream_of[op]] else "stream"

    def _copy_returns(
        self, kind: str, host_side: str, spaces: tuple[str, str], *, blocks: bool, legacy: bool
    ) -> bool:
        """Whether the host comes after the copy when the call returns."""
        if "managed" in spaces and self.semantics.managed_copies_block:
            return True
        if kind in ("D2D", "P2P"):
            return False
        if blocks:
            return not (legacy and kind == "H2D" and host_side == "pageable")
        is_download = kind == "D2H" and host_side == "pageable"
        return is_download and self.semantics.pageable_d2h_async_blocks

    def _read_source(
        self, op: int, access: int, space: str, given: str | None, *, drains: bool
    ) -> None:
        """Place the read of an upload's source: at the call, in the stream, or any time."""
        when = given
        if when is None:
            stages = self.semantics.pageable_h2d_stages
            when = ("call" if stages or drains else "any") if space == "pageable" else "stream"
        if when == "call":
            drained = self.held(self.stream_of[op]) if drains else ()
            self.access_node[access] = self.join(op, drained, Reason.COPY_DRAINS)
        elif when == "any":
            stream, thread = self.stream_of[op], self.thread_of[op]
            key = (stream, thread)
            if key not in self.side_lanes:
                self.side_lanes[key] = self.lane(self.lane_label[stream], Line.SIDE)
            node = self.node(self.side_lanes[key], op)
            self.edge(self.tail[thread], node, Reason.ISSUE)
            self.access_node[access] = node

    def _host_copy(self, op: int) -> None:
        """R21: the host joins the stream, then reads and writes as host code."""
        node = self.join(op, self.held(self.stream_of[op]), Reason.COPY_DRAINS)
        self.issue(op)
        self.op_node[op] = node

    def _note(self, op: int, first: int, kind: str) -> None:
        """R38: torch notes the stream of a non_blocking copy on the pinned block."""
        view = self.trace[op]
        if view.bit("async_") is False or view.via == "raw" or kind not in ("H2D", "D2H"):
            return
        access = first if kind == "H2D" else first + 1
        buffer = int(self.trace.buffers.of_access[access])
        noted = self.noted.setdefault(buffer, [])
        if self.stream_of[op] not in noted:
            noted.append(self.stream_of[op])

    def space(self, access: int | np.integer[Any]) -> str:
        """Give the memory space of an access's buffer at this place in the file."""
        buffers = self.trace.buffers
        buffer = int(buffers.of_access[access])
        space = buffers.space[buffer]
        return "pinned" if space == "pageable" and buffer in self.registered else space


def copy_kind(given: str | None, src: str, dst: str) -> str:
    """Give a copy's direction: as written, else as the memory spaces tell."""
    if given is not None:
        return given
    from_host, to_host = src in HOST_SPACES, dst in HOST_SPACES
    if from_host and to_host:
        return "H2H"
    return "H2D" if from_host else "D2H" if to_host else "D2D"
