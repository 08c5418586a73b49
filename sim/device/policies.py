"""Schedules: which legal order the queued work runs in.

A schedule is written as a short string, and reading the string gives the same run again:

    eager            every item at once, as under CUDA_LAUNCH_BLOCKING=1
    lazy             nothing before the host must wait for it
    random(7)        a random number of random items after each call, by seed
    pct(3,7)         random priorities of streams and host, lowered at 2 random points, seed 7
    timed            work runs when its simulated time has come, as on a GPU with a clock
    directed(12)     the work of op 12 as late as legal, all else at once; several ops: (12,15)
    replay(5:0.1*2)  at point 5 two items of stream 1 of device 0; replay() is lazy

Under ``timed``, at every call and wait of the host all work runs that ends by the host's clock, in
the order of these ends. A call takes 1 us, work 5 us, a copy the time of its bytes as well, and
``torch.simcuda._sleep(n)`` n ns: one long enough before an op makes what does not wait for it come
first, as it would on a GPU.

``Run.schedule`` gives any run in the last form. A program with several host threads replays as
far as its threads take turns in the same order.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from streamsan.sim.device.errors import ScheduleError
from streamsan.sim.device.queues import Engine, Policy, Queue

_FORM = re.compile(r"([a-z]+)(?:\((.*)\))?", re.DOTALL)
_CHOICE = re.compile(r"(\d+):(\d+\.\d+)\*(\d+)")
_PCT_STEPS = 1000


class Eager(Policy):
    """Runs everything at once."""

    def choose(self, engine: Engine) -> None:
        """Run what is ready, until nothing is."""
        while ready := engine.ready():
            for queue in ready:
                engine.step(queue)


class Lazy(Policy):
    """Runs nothing by choice."""

    def choose(self, engine: Engine) -> None:
        """Leave it to the host's waits."""


class Timed(Policy):
    """Runs work when its simulated time has come."""

    by_clock = True

    def choose(self, engine: Engine) -> None:
        """Run what ends by now, in the order of the ends, and of issue where they are equal."""
        while due := [q for q in engine.ready() if q.items[0].due[0] <= engine.now]:
            engine.step(min(due, key=_due))


def _due(queue: Queue) -> tuple[int, int]:
    return queue.items[0].due


class Random(Policy):
    """Runs random items; how eagerly is itself drawn, once a run and for each stream."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311 - a schedule is no secret
        self._go_on = self._draw.choice((0.2, 0.4, 0.6, 0.8))
        self._weight: dict[str, float] = {}

    def choose(self, engine: Engine) -> None:
        """Run a geometric number of items of streams drawn by weight."""
        while self._draw.random() < self._go_on and (ready := engine.ready()):
            weights = [self._weight_of(queue.label) for queue in ready]
            engine.step(self._draw.choices(ready, weights)[0])

    def _weight_of(self, label: str) -> float:
        if label not in self._weight:
            self._weight[label] = self._draw.choice((0.1, 1.0, 10.0))
        return self._weight[label]


class Pct(Policy):
    """Probabilistic concurrency testing: the host is a line among the streams.

    The line of the highest priority runs. ``depth - 1`` times, at random points of the first
    ``steps``, the line that runs falls to the lowest priority.
    """

    def __init__(self, depth: int, seed: int, steps: int = _PCT_STEPS) -> None:
        if depth < 1 or steps < 1:
            raise ScheduleError(f"pct({depth},{seed},{steps}): depth and steps are at least 1")
        self._draw = random.Random(seed)  # noqa: S311
        self._priority: dict[str, float] = {"host": self._draw.random()}
        self._changes = {self._draw.randrange(steps) for _ in range(depth - 1)}
        self._step = 0

    def choose(self, engine: Engine) -> None:
        """Run streams of higher priority than the host, then let the host go on."""
        while True:
            ready = {queue.label: queue for queue in engine.ready()}
            line = max(("host", *ready), key=self._priority_of)
            self._step += 1
            if self._step in self._changes:
                self._priority[line] = -float(self._step)
                continue
            if line == "host":
                return
            engine.step(ready[line])

    def _priority_of(self, line: str) -> float:
        if line not in self._priority:
            self._priority[line] = self._draw.random()
        return self._priority[line]


class Directed(Policy):
    """Holds some ops back as long as is legal and runs everything else at once."""

    def __init__(self, *hold: int) -> None:
        if not hold:
            raise ScheduleError("directed() needs the ops to hold back, as in directed(12)")
        self._hold = frozenset(hold)

    def choose(self, engine: Engine) -> None:
        """Run all ready items but the held ones; those behind them in their stream wait too."""
        while free := [q for q in engine.ready() if q.items[0].op not in self._hold]:
            for queue in free:
                engine.step(queue)


class Replay(Policy):
    """Makes the choices of an earlier run again."""

    def __init__(self, text: str = "") -> None:
        self._at: dict[int, list[tuple[str, int]]] = {}
        for word in filter(None, text.replace(" ", "").split(",")):
            found = _CHOICE.fullmatch(word)
            if found is None:
                raise ScheduleError(f"replay: {word!r} is no choice such as 5:0.1*2")
            point, label, count = found.groups()
            self._at.setdefault(int(point), []).append((label, int(count)))

    def choose(self, engine: Engine) -> None:
        """Run what the earlier run ran at this point.

        Raises:
            ScheduleError: the program did not do what it did then.
        """
        for label, count in self._at.get(engine.points, ()):
            for _ in range(count):
                queue = engine.queues.get(label)
                if queue is None or not queue.ready:
                    raise ScheduleError(
                        f"the program no longer follows its schedule: at point {engine.points} "
                        f"stream {label} has nothing that may run"
                    )
                engine.step(queue)


_NUMERIC: dict[str, Callable[..., Policy]] = {
    "eager": Eager, "lazy": Lazy, "random": Random, "pct": Pct, "timed": Timed,
    "directed": Directed,
}  # fmt: skip


def read_policy(text: str) -> Policy:
    """Make the policy that a schedule string names.

    Raises:
        ScheduleError: it names none.
    """
    found = _FORM.fullmatch(text.strip())
    name, inside = (found[1], found[2] or "") if found else ("", "")
    if name == "replay":
        return Replay(inside)
    if name not in _NUMERIC:
        known = ", ".join((*_NUMERIC, "replay"))
        raise ScheduleError(f"{text!r} is no schedule; there are {known}")
    try:
        return _NUMERIC[name](*(int(word) for word in inside.split(",") if word.strip()))
    except (TypeError, ValueError) as error:
        if isinstance(error, ScheduleError):
            raise
        raise ScheduleError(f"{text!r}: wrong numbers in the brackets") from None
