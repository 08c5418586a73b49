"""A program being written: lines that grow, and the few questions that every op asks.

Bindings are taken as observed (cuda-ordering.md, section 1): what a stream, an event or a device
holds at a call is what stands before the call in the file, whatever thread issued it. A call of
the host that nothing waits for and that waits for nothing is no action of its own: device work
waits for what its thread did before the call (R2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streamsan.sim.machine.cells import Place
from streamsan.sim.machine.program import Guard, LineKind
from streamsan.traces.layout import READ, WRITE
from streamsan.traces.model import Trace
from streamsan.traces.ops import Semantics


@dataclass(slots=True)
class DraftTouch:
    """An access on its way into a program; ``place`` is None where it is of a life.

    ``registered`` is the op that registered the memory, where the life is that of a registration.
    """

    op: int
    access: int
    buffer: int
    place: Place | None
    write: bool
    registered: int = -1


@dataclass(slots=True)
class DraftAction:
    """An action on its way into a program."""

    op: int
    line: int
    index: int
    guards: list[Guard]
    touches: list[DraftTouch] = field(default_factory=list)
    want: tuple[int, int] | None = None
    store: tuple[int, int] | None = None
    born: int = -1
    """The buffer that this action allocates."""
    node: int = -1
    """The node of a launch that this is."""

    @property
    def done(self) -> Guard:
        """The guard that waits for this action."""
        return self.line, self.index + 1


class Draft:
    """Lines of actions, and where each op's effects stand in them."""

    def __init__(self, trace: Trace, semantics: Semantics) -> None:
        """Give every stream a line."""
        self.trace, self.semantics = trace, semantics
        self.lines: list[tuple[str, LineKind, list[DraftAction]]] = []
        self.threads: dict[str, int] = {}
        self.agents: dict[str, int] = {}
        self.addresses: dict[str, int] = {}
        self.records: dict[str, Guard] = {}
        self.registered: dict[int, int] = {}
        self.recorded_on: dict[int, list[int]] = {}
        self.noted: dict[int, list[int]] = {}
        self.releases: dict[int, tuple[int, tuple[Guard, ...]]] = {}
        self.launched: dict[str, Guard] = {}
        self.captures: dict[str, int] = {}
        self.tasks: dict[str, Guard] = {}
        self.signals: dict[str, list[DraftAction]] = {}
        self.awaits: list[tuple[DraftAction, str]] = []
        self.joins: list[tuple[DraftAction, str]] = []
        self.starts: dict[str, list[DraftAction]] = {}
        self.meetings: dict[tuple[str, int | None, int], list[DraftAction]] = {}
        self.arrivals: dict[tuple[str, int | None, str], int] = {}
        self.freed: set[int] = set()
        self.ended: dict[int, tuple[int, Guard]] = {}
        self.used_after: set[int] = set()
        self.escapes_run = False
        self.escapes: dict[int, list[Guard]] = {}
        for label in trace.streams.label:
            self.add_line(label, LineKind.STREAM)

    def add_line(self, label: str, kind: LineKind) -> int:
        """Add a line without actions."""
        self.lines.append((label, kind, []))
        return len(self.lines) - 1

    def act(self, line: int, op: int, guards: Iterable[Guard]) -> DraftAction:
        """Add an action at the end of a line."""
        actions = self.lines[line][2]
        action = DraftAction(op, line, len(actions), [g for g in guards if g[1]])
        actions.append(action)
        return action

    def tail(self, line: int) -> Guard:
        """Give the guard that waits for all that a line holds."""
        return line, len(self.lines[line][2])

    def thread(self, op: int) -> int:
        """Give the line of the op's thread."""
        return self.thread_line(self.trace.names[int(self.trace.thread[op])])

    def thread_line(self, name: str) -> int:
        """Give the line of a host thread."""
        if name not in self.threads:
            self.threads[name] = self.add_line(f"host:{name}", LineKind.THREAD)
        return self.threads[name]

    def on_thread(self, op: int, guards: Iterable[Guard] = ()) -> DraftAction:
        """Add an action of the op's thread."""
        return self.act(self.thread(op), op, guards)

    def on_stream(self, op: int, *, carries_call: bool = True) -> DraftAction:
        """Add an action of the op's stream: after the call (R2), in the legacy domain (R11)."""
        stream = int(self.trace.streams.of_op[op])
        guards = self.legacy_guards(stream)
        if carries_call:
            guards.append(self.tail(self.thread(op)))
        return self.act(stream, op, guards)

    def legacy_guards(self, stream: int) -> list[Guard]:
        """Give what an action on a stream waits for in the legacy domain (R11, R12, R14)."""
        streams = self.trace.streams
        if not streams.blocking[stream]:
            return []
        wanted = not streams.legacy[stream]
        return [
            self.tail(other)
            for other in range(len(streams))
            if streams.device[other] == streams.device[stream]
            and streams.blocking[other]
            and streams.legacy[other] == wanted
            and other != stream
        ]

    def held(self, stream: int) -> list[Guard]:
        """Give what a synchronise of a stream waits for (R9, R13; section 7, points 1 and 2)."""
        more = self.legacy_guards(stream) if self.trace.streams.legacy[stream] else []
        return [self.tail(stream), *more]

    def on_device(self, device: int) -> list[Guard]:
        """Give what a synchronise of a device waits for (R10)."""
        streams = self.trace.streams
        return [self.tail(s) for s in range(len(streams)) if streams.device[s] == device]

    def touch(self, action: DraftAction, op: int, accesses: Iterable[int] | None = None) -> None:
        """Let an action make accesses of an op: all of them, or those of the given indices."""
        trace = self.trace
        start, stop = int(trace.access_start[op]), int(trace.access_start[op + 1])
        chosen = range(stop - start) if accesses is None else accesses
        for index in chosen:
            mode = int(trace.access_mode[start + index])
            if mode in (READ, WRITE):
                buffer = int(trace.buffers.of_access[start + index])
                place = (buffer, int(trace.access_range[start + index]))
                found = DraftTouch(action.op, index, buffer, place, mode == WRITE)
                action.touches.append(found)
                by_device = self.lines[action.line][1] is LineKind.STREAM
                if by_device and buffer in self.registered:
                    since = self.registered[buffer]
                    seen = DraftTouch(action.op, index, buffer, None, write=False, registered=since)
                    action.touches.append(seen)

    def change_life(self, action: DraftAction, buffer: int, registered: int = -1) -> None:
        """Let an action begin or end the life of a block, or end a registration."""
        changed = DraftTouch(action.op, -1, buffer, None, write=True, registered=registered)
        action.touches.append(changed)

    def space(self, buffer: int) -> str:
        """Give the space of a buffer at this place of the file; registered memory is pinned."""
        space = self.trace.buffers.space[buffer]
        return "pinned" if space == "pageable" and buffer in self.registered else space

    def address(self, op: int) -> int:
        """Number the address that a value op names."""
        return self.addresses.setdefault(str(self.trace[op].obj), len(self.addresses))
