"""How long the steps of a timeline take, from the recorded times.

Of two things that work waits for (its call, and other work) only the later one shows its own
delay; the other is taken to be the usual one. What remains unexplained stays with the step.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from streamsan.sim.machine.timeline import NOWHERE, Moments, Timeline, sort
from streamsan.sim.machine.timeline_guess import SLACK

USUAL_LAUNCH, USUAL_GAP = 5_000, 1_000
"""Ns from a call to its work, and from work to the next, where no op of a trace shows them."""
FAR = 4
"""Work that begins so many usual delays late has waited for something else."""


class Usual(NamedTuple):
    """The usual delays of a trace in ns: from call to work, and from work to work."""

    launch: int
    gap: int


class Timed(NamedTuple):
    """A timeline whose steps have their lengths.

    Args:
        order: the moments, each after those that it hangs on.
        seen: by moment, when it was; of moments that were not recorded, the earliest possible.
        usual: the usual delays.
        contradicted: waits that returned before what they wait for was over; they are left out.
        guessed: waits, and work, whose cause was guessed from times.
    """

    line: Timeline
    order: list[int]
    seen: list[int]
    usual: Usual
    contradicted: int
    guessed: int


def measure(line: Timeline) -> Timed | None:
    """Time every step; None where the trace's order goes round in a circle."""
    moments = line.moments
    order = sort(moments)
    if order is None:
        return None
    works = [(op, b) for op, b in enumerate(line.begin) if b >= 0 and moments.seen[b] is not None]
    seen = _seen(moments, order)
    usual = _usual(moments, seen, works)
    held = _hold(line, seen, usual, works)
    if held:
        again = sort(moments)
        if again is None:
            for moment in held:
                moments.others[moment].pop()
            held = []
        else:
            order = again
    contradicted = _calls(line, seen)
    for _, moment in works:
        _begin(moments, seen, usual, moment)
        end = moment + 1
        moments.lag[end] = max(0, seen[end] - seen[moment])
    return Timed(line, order, seen, usual, contradicted, line.guesses.made + len(held))


def _seen(moments: Moments, order: list[int]) -> list[int]:
    """Give when each moment was; one that is not recorded came as soon as it could."""
    start = min((known for known in moments.seen if known is not None), default=0)
    found = [0] * len(moments)
    for moment in order:
        known = moments.seen[moment]
        if known is None:
            before = (moments.first[moment], *moments.others[moment])
            known = max((found[b] for b in before if b >= 0), default=start)
        found[moment] = known
    return found


def _ready(moments: Moments, seen: list[int], moment: int) -> tuple[int | None, int | None]:
    """Give when a moment's call was made, and when all else that it waits for was over."""
    first = moments.first[moment]
    others = moments.others[moment]
    return (
        None if first == NOWHERE else seen[first],
        max((seen[other] for other in others), default=None),
    )


def _usual(moments: Moments, seen: list[int], works: list[tuple[int, int]]) -> Usual:
    launches, gaps = [], []
    for _, moment in works:
        call, over = _ready(moments, seen, moment)
        if call is not None and (over is None or over <= call):
            launches.append(max(0, seen[moment] - call))
    launch = int(median(launches)) if launches else USUAL_LAUNCH
    for _, moment in works:
        call, over = _ready(moments, seen, moment)
        if over is not None and (call is None or over > call + launch):
            gaps.append(max(0, seen[moment] - over))
    return Usual(launch, int(median(gaps)) if gaps else USUAL_GAP)


def _hold(line: Timeline, seen: list[int], usual: Usual, works: list[tuple[int, int]]) -> list[int]:
    """Let work that began much later than it could wait for what ended just then."""
    moments, held = line.moments, []
    for op, moment in works:
        call, over = _ready(moments, seen, moment)
        ready = max((0 if call is None else call + usual.launch), over or 0)
        if ready and seen[moment] - ready > FAR * usual.gap:
            other = line.guesses.held_by(op, ready)
            if other >= 0 and line.end[other] >= 0:
                moments.others[moment].append(line.end[other])
                held.append(moment)
    return held


def _begin(moments: Moments, seen: list[int], usual: Usual, moment: int) -> None:
    """Time the beginning of work."""
    call, over = _ready(moments, seen, moment)
    at = seen[moment]
    late = None if call is None else at - call
    gap = None if over is None else at - over
    by_call = call is not None and (over is None or call + usual.launch >= over + usual.gap)
    if late is not None:
        moments.lag[moment] = late if by_call else min(usual.launch, late)
    if gap is not None:
        moments.gap[moment] = min(usual.gap, gap) if by_call else gap


def _calls(line: Timeline, seen: list[int]) -> int:
    """Time beginnings and returns of calls; give how many waits the times contradict."""
    moments, contradicted = line.moments, 0
    for op, call in enumerate(line.call):
        if call < 0:
            continue
        back = line.back[op]
        first, over = moments.first[call], moments.others[back]
        sound = [o for o in over if seen[o] <= seen[back] + SLACK]
        if len(sound) < len(over):
            contradicted += 1
            moments.others[back] = over = sound
        ready = max((seen[o] for o in over), default=seen[call])
        own = seen[back] - max(ready, seen[call])
        moments.lag[back], moments.gap[back] = max(0, own), own
        if first >= 0:
            moments.lag[call] = seen[call] - seen[first]
        if moments.others[call]:
            moments.gap[call] = seen[call] - max(seen[o] for o in moments.others[call])
    return contradicted
