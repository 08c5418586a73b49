"""Joins an execution trace to the PyTorch profiler file of the same run.

A device op belongs to the innermost operator around its call; an operator of the profiler is a
node of the execution trace by its record function id, or, where the file has none (recorders of
before 2024), by its place in the sequence of operators.

The sets are the operator's: each of its kernels gets all of them, and what a kernel does to
memory of its own is not seen. A storage's id may be used again after its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from streamsan.traces import ops as o
from streamsan.traces.errors import TraceError
from streamsan.traces.formats.execution_trace import Execution, Node, Tensor
from streamsan.traces.formats.kineto_events import Event
from streamsan.traces.formats.kineto_names import COPIES, FILLS, SPACES, Range, copy_of, fill_of

LEAST_SHARE = 0.5
"""Of operators that must be found with their names: less, and it was another run."""
_AHEAD = 64
"""Operators that one of the two files may lack in a row."""
_SURE = 3
"""Names that must agree after such a hole."""
_FILLING = frozenset({"aten::zero_", "aten::fill_"})
Thread = tuple[int | str | None, int | str | None]


class Join:
    """What single device ops read and wrote.

    Args:
        execution: the execution trace.
        operators: the operators of the profiler file.
        calls: its API calls by correlation id.

    Raises:
        TraceError: the two are not of one run.
    """

    def __init__(
        self, execution: Execution, operators: Sequence[Event], calls: Mapping[int, Event]
    ) -> None:
        """Find the node of every operator that has one."""
        self.known = self.total = 0
        self._calls = calls
        ordered = sorted(
            (e for e in operators if e.t is not None), key=lambda e: (e.t or 0, -(e.end or 0))
        )
        self._nodes = _match(ordered, execution)
        if len(self._nodes) < LEAST_SHARE * min(len(ordered), len(execution.nodes)) or not ordered:
            raise TraceError(execution.path, None, "an execution trace of another run: its "
                             "operators are not those of the profiler file")  # fmt: skip
        self._of_call = _owners(ordered, calls.values(), self._nodes)
        self._space: dict[str, o.Space] = {}

    def declare(self, work: Iterable[Event]) -> list[o.OpBase]:
        """Give the memories that the sets speak of, before their first use."""
        for event in work:
            self.fill(_blank(event), event)
        self.known = self.total = 0
        return [
            o.Malloc(buffer=buffer, space=space, thread="kineto",
                     allocator="caching" if space == "device" else "plain")
            for buffer, space in self._space.items()
        ]  # fmt: skip

    def fill(self, op: o.Launch | o.Memcpy | o.Memset, event: Event) -> None:
        """Set the ranges of an op, where its operator is known."""
        self.total += 1
        node = self._of_call.get(event.args.correlation)
        if node is None:
            return
        if isinstance(op, o.Memcpy):
            src = self._end(node.reads, op.src)
            dst = self._end(node.writes, op.dst)
            op.src, op.dst = src or op.src, dst or op.dst
            self.known += src is not None and dst is not None
        elif isinstance(op, o.Memset):
            dst = self._end(node.writes, op.dst) if node.name in _FILLING else None
            op.dst = dst or op.dst
            self.known += dst is not None
        else:
            op.reads = tuple(self._range(t, "device") for t in node.reads if _on_device(t))
            op.writes = tuple(self._range(t, "device") for t in node.writes if _on_device(t))
            self.known += bool(op.reads or op.writes)

    def _end(self, tensors: Sequence[Tensor], given: o.RangeSpec) -> Range | None:
        """Give the one tensor at an end of a copy; None where there is none, or a choice."""
        space = _space_of(given)
        found = [t for t in tensors if _on_device(t) == (space == "device")]
        return self._range(found[0], space) if len(found) == 1 else None

    def _range(self, tensor: Tensor, space: o.Space) -> Range:
        buffer = f"et:{tensor.device}:{tensor.storage}"
        self._space.setdefault(buffer, space)
        return (buffer, tensor.offset, tensor.length)


def _blank(event: Event) -> o.Launch | o.Memcpy | o.Memset:
    if event.cat in COPIES:
        copy = copy_of(event.name)
        return o.Memcpy(stream="", src=copy.src, dst=copy.dst)
    if event.cat in FILLS:
        return o.Memset(stream="", dst=fill_of(event.name))
    return o.Launch(stream="")


def _space_of(given: o.RangeSpec) -> o.Space:
    word = given[0].removeprefix("kineto:") if isinstance(given, tuple) else "device"
    for space in SPACES:
        if space == word:
            return space
    return "device"


def _on_device(tensor: Tensor) -> bool:
    return tensor.device.startswith(("cuda", "hip"))


def _match(ordered: Sequence[Event], execution: Execution) -> dict[int, Node]:
    """Give the node of each operator, by the operator's place."""
    found = {}
    for place, event in enumerate(ordered):
        node = execution.nodes.get(event.args.function or 0)
        if node is not None and node.name == event.name:
            found[place] = node
    if found or any(event.args.function for event in ordered):
        return found
    return _align(ordered, list(execution.nodes.values()))


def _align(ordered: Sequence[Event], nodes: Sequence[Node]) -> dict[int, Node]:
    """Match two sequences of operators by their names; either may lack some."""
    ours, theirs = [event.name for event in ordered], [node.name for node in nodes]
    found = {}
    i = j = 0
    while i < len(ours) and j < len(theirs):
        if ours[i] == theirs[j]:
            found[i] = nodes[j]
            i, j = i + 1, j + 1
            continue
        hole = _hole(ours, theirs, i, j)
        if hole is None:
            i, j = i + 1, j + 1
        else:
            i, j = i + hole[0], j + hole[1]
    return found


def _hole(ours: Sequence[str], theirs: Sequence[str], i: int, j: int) -> tuple[int, int] | None:
    """Give how many operators to skip in either sequence so that they agree again."""
    for skip in range(1, _AHEAD):
        for here, there in ((skip, 0), (0, skip)):
            mine = ours[i + here : i + here + _SURE]
            if mine and mine == theirs[j + there : j + there + _SURE]:
                return here, there
    return None


def _innermost(around: Sequence[Node]) -> Node | None:
    """Give the last one that says what it writes, else the last that speaks of tensors at all."""
    whole = next((node for node in reversed(around) if node.is_whole), None)
    return whole or next((node for node in reversed(around) if node.reads), None)


def _owners(
    ordered: Sequence[Event], calls: Iterable[Event], nodes: Mapping[int, Node]
) -> dict[int | None, Node]:
    """Give the node of the innermost known operator around each call.

    A call whose thread has no operators is one that the recorder named otherwise: where only one
    thread has operators, it is that one's.
    """
    events: dict[Thread, list[tuple[int, int, int, int, Event]]] = defaultdict(list)
    for place, event in enumerate(ordered):
        start, end = event.t or 0, event.end or 0
        events[event.pid, event.tid].append((start, 0, -end, place, event))
    only = next(iter(events)) if len(events) == 1 else None
    for call in calls:
        thread: Thread = (call.pid, call.tid)
        if call.t is not None and (thread in events or only is not None):
            mine = thread if thread in events else only
            if mine is not None:
                events[mine].append((call.t, 1, 0, -1, call))
    found: dict[int | None, Node] = {}
    for of_thread in events.values():
        of_thread.sort(key=lambda mark: mark[:4])
        around: list[tuple[int, int]] = []
        for time, is_call, minus_end, place, event in of_thread:
            while around and around[-1][0] < time:
                around.pop()
            if not is_call:
                around.append((-minus_end, place))
                continue
            owner = _innermost([nodes[p] for _, p in around if p in nodes])
            if owner is not None:
                found[event.args.correlation] = owner
    return found
