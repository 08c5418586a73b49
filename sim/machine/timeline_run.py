"""The replay: when each moment of a timeline comes, given how long its steps take.

Each moment comes once all that it hangs on has come. In ``play`` work also waits for its engine,
which takes one thing at a time: what was ready first, then what was issued first. Recorded times
show themselves what held work back, and in what order the moments come: ``walk`` is then enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from streamsan.sim.machine.timeline_moments import Moments, Step
from streamsan.traces.model import NONE

Steps = Mapping[int, Step]
"""By moment: steps that stand in place of the timeline's."""
Rule = Callable[[int, list[int]], int]
"""Gives when a moment comes, from the times of those before it."""


class Played(NamedTuple):
    """By moment when it comes (``NONE``: never), the moments in that order, and who met whom.

    ``met`` has, for waits on a value, the write that met each.
    """

    times: list[int]
    order: list[int]
    met: dict[int, int]

    @property
    def stuck(self) -> bool:
        """Whether some moment never comes."""
        return len(self.order) < len(self.times)


def lengths(
    moments: Moments, roots: list[int], steps: Steps, latest: list[int] | None = None
) -> Rule:
    """Give the rule by which a moment comes as long after others as its step takes.

    Args:
        moments: the network.
        roots: by moment, when it comes if it hangs on nothing.
        steps: steps that stand in place of those of the network.
        latest: by moment, before when it comes if its step was replaced: a usual delay, in place
            of one that was not measured, makes nothing later than it was.
    """
    start = min(roots, default=0)

    def at(moment: int, times: list[int]) -> int:
        step = steps.get(moment)
        if step is None:
            first, others = moments.first[moment], moments.others[moment]
            lag, gap = moments.lag[moment], moments.gap[moment]
            if first < 0 and not others:
                return roots[moment]
        else:
            first, lag, others, gap = step
        found = start if first < 0 else times[first] + lag
        for other in others:
            found = max(found, times[other] + gap)
        return found if step is None or latest is None else min(found, latest[moment])

    return at


def walk(order: list[int], at: Rule) -> list[int]:
    """Give when each moment comes, where each stands in ``order`` after those it hangs on."""
    times = [NONE] * len(order)
    for moment in order:
        times[moment] = at(moment, times)
    return times


def play(
    moments: Moments, at: Rule, steps: Steps | None = None, engines: Mapping[int, str] | None = None
) -> Played:
    """Let every moment come as early as a rule has it.

    Args:
        moments: the network.
        at: the rule.
        steps: steps that stand in place of those of the network.
        engines: by beginning of work, what it runs on; the work's end is the moment after it.
    """
    steps, engines = steps or {}, engines or {}
    later, missing = _links(moments, steps)
    meets = _meets(moments)
    times, order, met = [NONE] * len(moments), list[int](), dict[int, int]()
    free: dict[str, int] = {}
    ready = [(at(m, times),) * 2 + (m,) for m, count in enumerate(missing) if not count]
    heapify(ready)
    while ready:
        now, since, moment = heappop(ready)
        engine = engines.get(moment)
        if engine is not None:
            if free.get(engine, now) > now:
                heappush(ready, (free[engine], since, moment))
                continue
            free[engine] = now + steps.get(moment + 1, moments.step(moment + 1)).lag
        times[moment] = now
        order.append(moment)
        for wait in meets.get(moment, ()):
            if wait not in met:
                met[wait] = moment
                later[moment].append(wait)
        for after in later[moment]:
            missing[after] -= 1
            if not missing[after]:
                then = at(after, times)
                if after in met:
                    then = max(then, times[met[after]])
                heappush(ready, (then, then, after))
    return Played(times, order, met)


def _links(moments: Moments, steps: Steps) -> tuple[list[list[int]], list[int]]:
    """Give, by moment, those that hang on it, and how many it hangs on."""
    later: list[list[int]] = [[] for _ in range(len(moments))]
    firsts, others = moments.first, moments.others
    if steps:
        firsts, others = firsts.copy(), others.copy()
        for moment, step in steps.items():
            firsts[moment], others[moment] = step.first, step.others
    missing = [len(mine) for mine in others]
    for moment, first in enumerate(firsts):
        if first >= 0:
            later[first].append(moment)
            missing[moment] += 1
        for before in others[moment]:
            later[before].append(moment)
    for wait in moments.either:
        missing[wait] += 1
    return later, missing


def _meets(moments: Moments) -> dict[int, list[int]]:
    """Give the waits on values that each write may meet."""
    found: dict[int, list[int]] = {}
    for wait, writes in moments.either.items():
        for write in writes:
            found.setdefault(write, []).append(wait)
    return found
