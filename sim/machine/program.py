"""What the machine runs: lines of actions, the memory they touch, and what each has to wait for.

A **line** is a host thread, a stream, an agent of the host's memory, a task of a library, or the
part of a copy or a free that happens by itself. The actions of a line run one after the other.
An action waits for its **guards** and for a value, takes effect between a start and an end, and
reads before it writes. Which guards an op has stands in ``issue.py`` and its neighbours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from streamsan.traces.model import Trace

Guard = tuple[int, int]
"""``(line, count)``: so many actions of the line have ended."""

BEFORE = -1
"""The value of memory that nobody has written since the trace began."""
UNINITIALISED = -2
"""The value of memory that was allocated in the trace and not written since."""
MIXED = -3
"""The value where several ops wrote at once: bytes of more than one."""
UNALLOCATED = -4
"""The life of a stream-ordered allocation that has not happened yet (R28)."""
_HALF = -16


def half(op: int) -> int:
    """Give the value of memory that ``op`` has begun to write and not finished."""
    return _HALF - op


def half_of(value: int) -> int | None:
    """Give the op that has written only half of a value; None for a value that is whole."""
    return _HALF - value if value <= _HALF else None


class LineKind(Enum):
    """What a line stands for."""

    THREAD = "thread"
    STREAM = "stream"
    AGENT = "agent"
    TASK = "task"
    NODE = "node"
    """A node of a launched graph (R33)."""
    SIDE = "side"
    """The read of an upload's source that may come at any time (R46)."""
    ESCAPE = "escape"
    """What the host does unseen to memory that has left the recorder's sight (detail 14)."""
    TAKEN = "taken"
    """The next owner of freed memory that the trace goes on using."""
    END = "end"
    """The end of a block: the allocator takes it back once its own waits are over (R36 to R38)."""


class Touch(NamedTuple):
    """One access: of bytes, or of the life of the block they lie in."""

    op: int
    access: int
    """Index into the op's accesses (a launch's: into its capture's); -1 where it has none: a
    change of a life, what the host does unseen, what the next owner of freed memory writes."""
    slots: tuple[int, ...]
    write: bool
    life: bool
    entry: int
    """Where a read notes what it saw: an index into ``State.seen``; -1 for a write."""


class Action(NamedTuple):
    """One thing that a line does."""

    op: int
    guards: tuple[Guard, ...] = ()
    touches: tuple[Touch, ...] = ()
    want: tuple[int, int] | None = None
    """The address and the least value that it waits for (R45)."""
    store: tuple[int, int] | None = None
    places: tuple[int, ...] = ()
    """Indices into ``Program.reuses``: blocks that an allocation puts where others lay."""
    split: bool = False
    """Whether others can act between its start and its end: it touches bytes."""
    writer: int = BEFORE
    """What stands in the memory that it has written: its op, or a number of ``Program.nodes``."""


class Line(NamedTuple):
    """A line and its actions, in the order in which they run."""

    label: str
    kind: LineKind
    actions: tuple[Action, ...]


class Slot(NamedTuple):
    """Bytes of one block that no access tells apart, or the life of a block."""

    buffer: int
    pieces: tuple[tuple[int, int], ...]
    """``(offset, length)`` in bytes of the buffer; empty for a life."""
    initial: int
    peers: tuple[tuple[int, int], ...] = ()
    """``(slot, reuse)``: the same bytes as another block has them; a reuse of -1 is always so."""


class Reuse(NamedTuple):
    """A block allocated where a freed one lay, if the allocator's own waits are over by then.

    Where they are not, the allocation gets other memory: in such a run the two do not meet. That
    is why a reuse orders the accesses of the former tenant and nothing else (section 7, point 4).
    """

    former: int
    later: int
    release: tuple[Guard, ...]
    handed: tuple[tuple[int, int], ...]
    """Slots of the former tenant and of the later one, pair by pair."""


@dataclass(frozen=True, eq=False)
class Program:
    """A trace, ready to run."""

    trace: Trace
    lines: tuple[Line, ...]
    slots: tuple[Slot, ...]
    entries: tuple[Touch, ...]
    """The reads, in the order of ``State.seen``."""
    reuses: tuple[Reuse, ...]
    addresses: tuple[str, ...]
    freed: frozenset[int]
    """Buffers whose end is in the trace, and that no op of the trace uses after it."""
    nodes: tuple[tuple[int, int], ...] = ()
    """The op and the node that writers from ``len(trace)`` on stand for: nodes of launches."""

    def writer_of(self, value: int) -> tuple[int | None, int | None]:
        """Give the op and the node that wrote a value, whole or half; None for what is none."""
        part = half_of(value)
        whole = value if part is None else part
        if whole < 0:
            return None, None
        ops = len(self.trace)
        return (whole, None) if whole < ops else self.nodes[whole - ops]

    @cached_property
    def checksum(self) -> str:
        """Four digits that tell this program's lines from those of others."""
        shape = [(line.label, [(a.op, a.split) for a in line.actions]) for line in self.lines]
        return f"{zlib.crc32(repr(shape).encode()) & 0xFFFF:04x}"

    @cached_property
    def size(self) -> int:
        """Count the actions."""
        return sum(len(line.actions) for line in self.lines)


class Place(NamedTuple):
    """An action's place: the index of its line, and its turn there, from 0."""

    line: int
    turn: int


def actions(program: Program) -> Iterator[tuple[Place, Action]]:
    """Go through all actions, line by line."""
    for line, (_, _, mine) in enumerate(program.lines):
        for index, action in enumerate(mine):
            yield Place(line, index), action
