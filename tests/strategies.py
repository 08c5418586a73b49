"""Random traces over every op kind: for hypothesis (``traces``) and, fast, by seed.

Both come from one generator, so what a seed finds hypothesis can shrink. Every trace keeps the
contract: ranges lie inside their buffers and nodes of graphs are well formed. What a program may
do wrong (race, wait for nothing, hang, free too early) it does.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st

from streamsan.traces import ops as o
from streamsan.traces.build import from_ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamsan.traces.model import Trace

THREADS = ("main", "main", "main", "T1", "T2")
NONBLOCKING = ("s1", "s2", "s3")
BLOCKING = ("b1", "b2")
EVENTS = ("e", "f", "g")
TOKENS = ("k", "l")
UNSIZED = ("u", "v")
SIZE = 32
"""Bytes of an allocation: few, so that ranges meet often."""
ADDRESSES: tuple[str | int | None, ...] = (None, None, "A", "A", "B", 4096, 4112)

ALLOCATORS: tuple[o.Allocator, ...] = (
    "plain", "caching", "caching_host", "mapped", "stream_ordered",
)  # fmt: skip
RESULTS: tuple[Literal["success", "not_ready"] | None, ...] = ("success", "not_ready", None)
FLAGS: tuple[Literal["nonblocking", "blocking"], ...] = ("nonblocking", "blocking")


class Program:
    """The ops of one random program so far."""

    def __init__(self, rng: random.Random) -> None:
        """Start with two blocking streams created and a few buffers."""
        self.rng = rng
        self.ops: list[o.OpBase] = []
        self.live: dict[str, int | None] = dict.fromkeys(UNSIZED)
        self.tasks: list[str] = []
        self.submitted = 0
        self.graphs: list[str] = []
        self.turns: dict[tuple[str, int], int] = {}
        self.add(o.StreamCreate(stream="b1", flags="blocking"))
        self.add(o.StreamCreate(stream="b2", flags="blocking", device=1))
        for space in ("device", "pinned", "pageable", "managed"):
            self.allocate(space=space)

    def add(self, op: o.OpBase) -> None:
        """Append an op."""
        self.ops.append(op)

    def chance(self, percent: int) -> bool:
        """Whether something of this likelihood happens."""
        return self.rng.randrange(100) < percent

    def thread(self) -> str:
        """Choose a host thread."""
        return self.rng.choice(THREADS)

    def stream(self) -> dict[str, Any]:
        """Choose a stream, a device that goes with it, and the thread that issues."""
        name = self.rng.choice((*NONBLOCKING, *NONBLOCKING, *BLOCKING, "0", "ptds", "x"))
        device = {"b2": 1, "x": 1}.get(name, 0)
        if name in ("0", "ptds"):
            device = int(self.chance(25))
        return {"stream": name, "device": device, "thread": self.thread()}

    def range_of(self, name: str | None = None) -> o.RangeSpec:
        """Choose a range inside a live buffer: whole, plain, strided or empty."""
        name = self.rng.choice(list(self.live)) if name is None else name
        if self.chance(45):
            return name
        size = self.live.get(name) or SIZE
        offset = self.rng.randrange(size)
        if self.chance(70):
            return (name, offset, self.rng.randrange(size - offset + 1))
        return self._view(name, size)

    def _view(self, name: str, size: int) -> o.StridedRange:
        itemsize, rows = self.rng.choice((1, 2, 4)), self.rng.randrange(4)
        stride = self.rng.choice((itemsize, 2 * itemsize, 8))
        while rows > 1 and (rows - 1) * stride + itemsize > size:
            rows -= 1
        reach = max(rows - 1, 0) * stride + itemsize
        offset = self.rng.randrange(size - reach + 1)
        shape: tuple[int, ...] = (rows,)
        strides: tuple[int, ...] = (stride,)
        if self.chance(30) and itemsize > 1:
            shape, strides, itemsize = (rows, itemsize), (stride, 1), 1
        if self.chance(20):
            strides = (-strides[0], *strides[1:])
            offset += max(rows - 1, 0) * stride
        return o.StridedRange(name, shape, strides, itemsize, offset)

    def sets(self) -> dict[str, Any]:
        """Choose what a kernel reads and writes."""
        reads = tuple(self.range_of() for _ in range(self.rng.randrange(3)))
        writes = tuple(self.range_of() for _ in range(self.rng.randrange(2)))
        if reads and self.chance(15):
            writes = (*writes, reads[0])
        return {"reads": reads, "writes": writes}

    def allocate(self, space: str | None = None) -> None:
        """Allocate under a new or a freed name, often at an address used before."""
        rng = self.rng
        free = [f"m{i}" for i in range(6) if f"m{i}" not in self.live]
        if not free:
            return
        name = free[0]
        size = rng.choice((8, SIZE, SIZE, None))
        given: dict[str, Any] = {
            "buffer": name,
            "bytes": size,
            "space": space or rng.choice(("device", "device", "pinned", "pageable", "managed")),
            **self._address(),
        }
        if self.chance(30):
            self.add(o.MallocAsync(**given, **self.stream()))
        else:
            owner: dict[str, Any] = {"thread": self.thread()}
            if self.chance(70):
                owner = self.stream()
            self.add(o.Malloc(**given, allocator=rng.choice(ALLOCATORS), **owner))
        self.live[name] = size

    def _address(self) -> dict[str, Any]:
        """Choose where a block lies: nowhere in particular, or where others may lie too."""
        address, offset = self.rng.choice(ADDRESSES), self.rng.choice((0, 0, 0, 4, 8))
        if address is None:
            return {}
        return {"address": address, "offset": offset} if offset else {"address": address}

    def release(self) -> None:
        """Free a buffer that is live."""
        mine = [name for name in self.live if name not in UNSIZED]
        if mine:
            name = self.rng.choice(mine)
            del self.live[name]
            if self.chance(35):
                self.add(o.FreeAsync(buffer=name, **self.stream()))
            else:
                self.add(o.Free(buffer=name, thread=self.thread()))

    def launch(self) -> None:
        """Add a kernel."""
        self.add(o.Launch(**self.stream(), **self.sets()))

    def copy(self) -> None:
        """Add a copy or a fill, of any direction and with any promise."""
        rng, place = self.rng, self.stream()
        if self.chance(20):
            self.add(o.Memset(dst=self.range_of(), async_=self.chance(50), **place))
            return
        self.add(
            o.Memcpy(
                src=self.range_of(),
                dst=self.range_of(),
                async_=self.chance(65),
                wait=rng.choice((None, None, "legacy", "stream")),
                kind=rng.choice((None, None, None, "H2D", "D2H", "D2D", "P2P", "H2H")),
                via=rng.choice((None, "item", "raw")),
                src_access=rng.choice((None, None, "call", "stream", "any")),
                **place,
            )
        )

    def host(self) -> None:
        """Add an access by host code, by an agent, or an escape."""
        sorts: tuple[Any, ...] = (o.HostRead, o.HostWrite, o.HostRead, o.HostWrite, o.HostEscape)
        cls = self.rng.choice(sorts)
        name = self.rng.choice((None, None, None, None, None, None, "nic", "ipc"))
        agent: dict[str, Any] = {} if cls is o.HostEscape else {"agent": name}
        self.add(cls(buffer=self.range_of(), thread=self.thread(), **agent))

    def event(self) -> None:
        """Add an op on an event."""
        rng, name = self.rng, self.rng.choice(EVENTS)
        word = rng.choice(("record",) * 4 + ("wait",) * 4 + ("sync", "query", "query", "life"))
        if word == "record":
            self.add(o.EventRecord(event=name, **self.stream()))
        elif word == "wait":
            self.add(o.StreamWaitEvent(event=name, **self.stream()))
        elif word == "sync":
            self.add(o.EventSynchronize(event=name, thread=self.thread()))
        elif word == "query":
            result = rng.choice(RESULTS)
            self.add(o.EventQuery(event=name, result=result, thread=self.thread()))
        else:
            cls = rng.choice((o.EventCreate, o.EventDestroy))
            self.add(cls(event=name, thread=self.thread()))

    def host_wait(self) -> None:
        """Add a wait by the host for a stream or a device."""
        word = self.rng.randrange(4)
        if word == 0:
            self.add(o.DeviceSynchronize(device=self.rng.randrange(2), thread=self.thread()))
        elif word == 1:
            result = self.rng.choice(RESULTS)
            self.add(o.StreamQuery(result=result, **self.stream()))
        else:
            self.add(o.StreamSynchronize(**self.stream()))

    def stream_life(self) -> None:
        """Destroy or create a stream; a created name may be another stream from here on."""
        name = self.rng.choice((*NONBLOCKING, "b1"))
        if self.chance(50):
            self.add(o.StreamDestroy(stream=name, thread=self.thread()))
        else:
            flags = FLAGS[name == "b1"]
            self.add(o.StreamCreate(stream=name, flags=flags, priority=-1))

    def host_func(self) -> None:
        """Add host work in stream order."""
        tokens = [(), (), (self.rng.choice(TOKENS),)]
        signals, awaits = self.rng.choice(tokens), self.rng.choice(tokens)
        self.add(o.HostFunc(signals=signals, awaits=awaits, **self.stream(), **self.sets()))

    def token(self) -> None:
        """Add a signal or an await, in any order."""
        cls = self.rng.choice((o.Signal, o.Await))
        self.add(cls(token=self.rng.choice(TOKENS), thread=self.thread()))

    def task(self) -> None:
        """Submit a task, or see one done."""
        if self.tasks and self.chance(50):
            task = self.tasks.pop(self.rng.randrange(len(self.tasks)))
            self.add(o.HostTaskDone(task=task, thread=self.thread()))
        else:
            self.submitted += 1
            self.tasks.append(f"t{self.submitted % 3}")
            self.add(o.HostTaskSubmit(task=self.tasks[-1], thread=self.thread(), **self.sets()))

    def graph(self) -> None:
        """Capture or launch a graph."""
        name = self.rng.choice(("G", "H"))
        if self.chance(40):
            nodes = ({"op": "launch", "stream": "s1", "reads": ["u"], "after": []},)
            inner = {"nodes": nodes} if self.chance(15) else self.sets()
            self.add(o.GraphCapture(graph=name, **self.stream(), **inner))
        else:
            own = self.sets() if self.chance(40) else {}
            self.add(o.GraphLaunch(graph=name, **self.stream(), **own))

    def value(self) -> None:
        """Write a value, from a stream or the host, or wait for one."""
        addr, value = self.rng.choice("xy"), self.rng.randrange(3)
        if self.chance(45):
            self.add(o.StreamWaitValue(addr=addr, value=value, **self.stream()))
        elif self.chance(70):
            self.add(o.StreamWriteValue(addr=addr, value=value, **self.stream()))
        else:
            self.add(o.StreamWriteValue(addr=addr, value=value, thread=self.thread()))

    def collective(self) -> None:
        """Add one rank's part of a collective of two ranks."""
        rank, seq = self.rng.randrange(2), self.rng.choice((None, 1, 2))
        self.add(
            o.Collective(
                group="w", ranks=(0, 1), rank=rank, seq=seq, **self.stream(), **self.sets()
            )
        )

    def start_or_join(self) -> None:
        """Start or join a thread; a start may come after the thread's first op."""
        cls = self.rng.choice((o.ThreadStart, o.ThreadJoin))
        target = self.rng.choice(("T1", "T2"))
        others = [name for name in ("main", "T1", "T2") if name != target]
        self.add(cls(target=target, thread=self.rng.choice(others)))

    def guard(self) -> None:
        """Note a stream on a block, or register memory."""
        mine = [name for name in self.live if name not in UNSIZED]
        if not mine:
            return
        name = self.rng.choice(mine)
        if self.chance(60):
            self.add(o.RecordStream(buffer=name, **self.stream()))
        else:
            cls = self.rng.choice((o.HostRegister, o.HostUnregister))
            self.add(cls(buffer=name, thread=self.thread()))

    def remark(self) -> None:
        """Add an op on a slot, a region or a mark: none of them orders anything by itself."""
        rng, thread = self.rng, self.thread()
        word = rng.randrange(6)
        if word == 0:
            self.add(o.SlotDefer(slot="q", source=self.range_of(), thread=thread))
        elif word == 1:
            self.add(o.SlotResolve(slot="q", value=self.range_of(), version=1, thread=thread))
        elif word == 2:
            self.add(o.SlotRead(slot="q", expects_version=rng.choice((None, 1)), thread=thread))
        elif word == 3:
            self.add(o.SlotConsume(slot="q", thread=thread))
        else:
            cls = rng.choice((o.Mark, o.RegionBegin, o.RegionEnd))
            self.add(cls(name="step", thread=thread))


WEIGHTS: tuple[tuple[Callable[[Program], None], int], ...] = (
    (Program.launch, 24),
    (Program.copy, 12),
    (Program.host, 10),
    (Program.event, 20),
    (Program.host_wait, 4),
    (Program.allocate, 8),
    (Program.release, 8),
    (Program.host_func, 3),
    (Program.token, 4),
    (Program.task, 3),
    (Program.graph, 3),
    (Program.value, 3),
    (Program.collective, 3),
    (Program.start_or_join, 2),
    (Program.guard, 3),
    (Program.stream_life, 1),
    (Program.remark, 2),
)
_ACTIONS = [action for action, weight in WEIGHTS for _ in range(weight)]


def random_semantics(rng: random.Random) -> o.Semantics:
    """Choose every switch; the usual reading most often."""
    if rng.randrange(2):
        return o.Semantics()
    return o.Semantics(*(bool(rng.randrange(2)) for _ in range(5)))


def build(rng: random.Random, ops: int, focus: int = 0) -> Trace:
    """Make a trace of about ``ops`` ops. ``focus`` > 0 uses only that many of the op families."""
    program = Program(rng)
    actions = _ACTIONS
    if focus:
        chosen = {Program.launch, Program.event, *(rng.choice(_ACTIONS) for _ in range(focus))}
        actions = [action for action in _ACTIONS if action in chosen]
    for _ in range(ops):
        rng.choice(actions)(program)
    header = o.Header(semantics=random_semantics(rng), rank=0, source="hand")
    return from_ops(program.ops, header)


def random_trace(seed: int, ops: int = 20) -> Trace:
    """Make the trace of a seed, always the same one."""
    rng = random.Random(seed)  # noqa: S311
    return build(rng, ops, focus=rng.choice((0, 0, 2, 4)))


def traces(max_ops: int = 25) -> st.SearchStrategy[Trace]:
    """Give a hypothesis strategy for traces."""
    return st.builds(
        build,
        st.randoms(use_true_random=False),
        st.integers(0, max_ops),
        st.sampled_from((0, 0, 2, 4)),
    )
