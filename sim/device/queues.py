"""Streams as queues of work, and the engine that runs their items one by one.

A generation of an event is a place in a queue: it is done when the queue has come that far. So
a record costs nothing, and a wait is an item that is ready once its place is done. An event is
recorded before it is waited for, which is why no cycle of waits can arise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import ClassVar, NamedTuple, Protocol

from streamsan.sim.device.errors import KernelError


class Place(NamedTuple):
    """A capture: the first ``upto`` items of a queue."""

    queue: Queue
    upto: int

    @property
    def done(self) -> bool:
        """Whether everything captured has run."""
        return self.queue.done >= self.upto


class Item:
    """Work on a stream: a kernel to run, or a place to wait for.

    ``due`` is when it ends by the simulated clock, and where it stands in issue order.
    """

    __slots__ = ("due", "name", "op", "run", "site", "wait")

    def __init__(
        self,
        run: Callable[[], object] | None,
        name: str = "",
        op: int = -1,
        site: int | None = None,
        wait: Place | None = None,
    ) -> None:
        self.run = run
        self.name = name
        self.op = op
        self.site = site
        self.wait = wait
        self.due = (0, 0)


class Queue:
    """One stream: its items in issue order, how many were issued and how many are done."""

    __slots__ = ("clock", "device", "done", "index", "issued", "items", "label", "name", "priority")

    def __init__(self, device: int, index: int, priority: int = 0) -> None:
        self.device = device
        self.index = index
        self.priority = priority
        self.label = f"{device}.{index}"
        self.name = "0" if index == 0 else f"s{index}" if device == 0 else f"{device}:s{index}"
        self.items: deque[Item] = deque()
        self.issued = 0
        self.done = 0
        self.clock = 0

    @property
    def place(self) -> Place:
        """Everything issued so far."""
        return Place(self, self.issued)

    @property
    def ready(self) -> bool:
        """Whether the first item may run now."""
        if not self.items:
            return False
        wait = self.items[0].wait
        return wait is None or wait.done


class Policy(Protocol):
    """Chooses which queued work runs, at every point where it may."""

    by_clock: ClassVar[bool] = False
    """Whether it also has a turn when the simulated clock goes on while the host waits."""

    def choose(self, engine: Engine) -> None:
        """Run any number of ready items by ``engine.step``."""


class Engine:
    """All queues. Runs items when the policy wants it, or when the host must wait."""

    def __init__(self, policy: Policy, site_text: Callable[[int | None], str]) -> None:
        self.policy = policy
        self.queues: dict[str, Queue] = {}
        self.failure: KernelError | None = None
        self.points = 0
        self.now = 0
        """The simulated time of the host, ns. All host threads share one clock."""
        self.busy: dict[str, Queue] = {}
        """The queues that hold items."""
        self.choices: list[tuple[int, str]] = []
        """At which point an item of which queue ran by choice."""
        self._site_text = site_text

    def add(self, queue: Queue) -> None:
        """Make a queue known."""
        self.queues[queue.label] = queue

    def issue(self, queue: Queue, item: Item) -> None:
        """Append an item; the policy may then run what it likes."""
        queue.items.append(item)
        queue.issued += 1
        self.busy[queue.label] = queue
        self.points += 1
        item.due = (queue.clock, self.points)
        self.policy.choose(self)

    def point(self) -> None:
        """Give the policy a turn. Every call of the host is such a point."""
        self.points += 1
        self.policy.choose(self)

    def advance(self, time: int) -> None:
        """Let the clock go on to a time for which the host waits.

        What then runs by choice is noted at the point before: nothing lies in between.
        """
        if time > self.now:
            self.now = time
            if self.policy.by_clock:
                self.policy.choose(self)

    def ready(self) -> list[Queue]:
        """Give the queues whose first item may run now, in an order that only the run decides."""
        return [queue for queue in self.busy.values() if queue.ready]

    def step(self, queue: Queue) -> None:
        """Run the first item of a queue by choice; the choice is noted for a replay."""
        self.choices.append((self.points, queue.label))
        self._run(queue)

    def _run(self, queue: Queue) -> None:
        item = queue.items.popleft()
        queue.done += 1
        if not queue.items:
            del self.busy[queue.label]
        if item.run is None:
            return
        try:
            item.run()
        except Exception as error:  # noqa: BLE001 - told by raise_failure, at the next call
            if self.failure is None:
                self.failure = KernelError(item.name, self._site_text(item.site), error)
                self.failure.__cause__ = error

    def raise_failure(self) -> None:
        """Tell of a kernel that failed, once.

        Raises:
            KernelError: a kernel failed since the last call.
        """
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def drain(self, place: Place) -> None:
        """Run what a place needs, and nothing else: its queue so far, and what that waits for."""
        stack = [place]
        while stack:
            queue, index = stack[-1]
            if queue.done >= index:
                stack.pop()
                continue
            wait = queue.items[0].wait
            if wait is not None and not wait.done:
                stack.append(wait)
            else:
                self._run(queue)

    def drain_all(self, device: int | None = None) -> None:
        """Run everything on a device, or everything."""
        for queue in self._of(device):
            self.drain(queue.place)

    def _of(self, device: int | None) -> Iterator[Queue]:
        return (q for q in list(self.queues.values()) if device is None or q.device == device)

    @property
    def schedule(self) -> str:
        """The choices made so far, as a string that replays them."""
        runs = ((*choice, len(list(group))) for choice, group in groupby(self.choices))
        return "replay(" + ",".join(f"{point}:{label}*{n}" for point, label, n in runs) + ")"
