"""How long the steps of a timeline take, from the recorded times.

With these lengths the earliest time of every moment is the recorded one, and stays meaningful when
a step is taken away. Of two things that work waits for (its call, and other work) only the later
one shows its own delay; the other is taken to be the usual one. What remains unexplained stays with
the step.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from streamsan.sim.machine.timeline import Timeline
from streamsan.sim.machine.timeline_guess import SLACK, Guesses
from streamsan.sim.machine.timeline_moments import NOWHERE, Moments
from streamsan.sim.machine.timeline_run import Played, Rule, play

USUAL_LAUNCH, USUAL_GAP = 5_000, 1_000
"""Ns from a call to its work, and from work to the next, where no op of a trace shows them."""
FAR = 4
"""Work that begins so many usual delays late has waited for something else."""


class Usual(NamedTuple):
    """The usual delays in ns: from call to work, from work to work, and of a call itself."""

    launch: int
    gap: int
    call: int


class Timed(NamedTuple):
    """A timeline whose steps have their lengths.

    Args:
        seen: by moment, when it was; of moments that were not recorded, the earliest possible.
        usual: the usual delays.
        engines: by beginning of work, the engine that it has to wait for.
        order: the moments, each after those that it hangs on; None where that is not known.
        contradicted: ops that returned before what they wait for was over; that is left out.
        held: work, and the work at whose end it seems to have begun.
        guessed: waits, and work, whose cause was guessed from times.
    """

    line: Timeline
    seen: list[int]
    usual: Usual
    engines: dict[int, str]
    order: list[int] | None = None
    contradicted: frozenset[int] = frozenset()
    held: tuple[tuple[int, int], ...] = ()
    guessed: int = 0


def measure(line: Timeline) -> Timed | None:
    """Time every step; None where the trace's order goes round in a circle."""
    guesses = guess(line)
    moments = line.moments
    played = _seen(line)
    if played is None:
        return None
    seen, order = played.times, played.order
    usual = _usual(line, seen)
    held = _hold(line, guesses, seen, usual)
    if held:
        again = play(moments, _observed(moments))
        if again.stuck:
            for op, _ in held:
                moments.others[line.begin[op]].pop()
            held = []
        else:
            order = again.order
    contradicted = _calls(line, seen)
    for op in line.works:
        _begin(moments, seen, usual, line.begin[op])
        moments.lag[line.end[op]] = max(0, seen[line.end[op]] - seen[line.begin[op]])
    made = guesses.made + len(held)
    return Timed(line, seen, usual, {}, order, contradicted, tuple(held), made)


def guess(line: Timeline) -> Guesses:
    """Let unresolved waits wait for what they seem to have waited for."""
    guesses = Guesses(line.trace, line.back, line.end)
    for op, work in guesses.waits():
        line.moments.others[line.back[op]].append(work)
    return guesses


def _observed(moments: Moments) -> Rule:
    """Give the rule by which a moment comes when it was; or, not recorded, as soon as it can."""
    start = min((known for known in moments.seen if known is not None), default=0)

    def at(moment: int, times: list[int]) -> int:
        known = moments.seen[moment]
        if known is not None:
            return known
        first, others = moments.first[moment], moments.others[moment]
        found = times[first] if first >= 0 else start
        return max(found, *[times[other] for other in others]) if others else found

    return at


def _seen(line: Timeline) -> Played | None:
    """Give when each moment was, and let waits on values hang on what met them."""
    played = play(line.moments, _observed(line.moments))
    if line.hangs or played.stuck:
        return None
    for wait, write in played.met.items():
        line.moments.others[wait].append(write)
    line.moments.either.clear()
    return played


def _ready(moments: Moments, seen: list[int], moment: int) -> tuple[int | None, int | None]:
    """Give when a moment's call was made, and when all else that it waits for was over."""
    first = moments.first[moment]
    others = moments.others[moment]
    return (
        None if first == NOWHERE else seen[first],
        max((seen[other] for other in others), default=None),
    )


def _usual(line: Timeline, seen: list[int]) -> Usual:
    moments, works = line.moments, [line.begin[op] for op in line.works]
    launches, gaps = [], []
    for moment in works:
        call, over = _ready(moments, seen, moment)
        if call is not None and (over is None or over <= call):
            launches.append(max(0, seen[moment] - call))
    launch = int(median(launches)) if launches else USUAL_LAUNCH
    for moment in works:
        call, over = _ready(moments, seen, moment)
        if over is not None and (call is None or over > call + launch):
            gaps.append(max(0, seen[moment] - over))
    calls = [seen[back] - seen[line.call[op]] for op, back in enumerate(line.back)
             if back >= 0 and not moments.others[back]]  # fmt: skip
    call = int(median(calls)) if calls else 0
    return Usual(launch, int(median(gaps)) if gaps else USUAL_GAP, call)


def _hold(line: Timeline, guesses: Guesses, seen: list[int], usual: Usual) -> list[tuple[int, int]]:
    """Let work that began much later than it could wait for what ended just then."""
    moments, held = line.moments, []
    for op in line.works:
        moment = line.begin[op]
        call, over = _ready(moments, seen, moment)
        ready = max((0 if call is None else call + usual.launch), over or 0)
        if ready and seen[moment] - ready > FAR * usual.gap:
            other = guesses.held_by(op, ready)
            if other >= 0 and line.end[other] >= 0:
                moments.others[moment].append(line.end[other])
                held.append((op, other))
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


def _calls(line: Timeline, seen: list[int]) -> frozenset[int]:
    """Time beginnings and returns of calls; give the waits that the times contradict."""
    moments, contradicted = line.moments, []
    for op, call in enumerate(line.call):
        if call < 0:
            continue
        back = line.back[op]
        first = moments.first[call]
        if leave_out(moments, seen, back):
            contradicted.append(op)
        ready = max((seen[o] for o in moments.others[back]), default=seen[call])
        own = seen[back] - max(ready, seen[call])
        moments.lag[back], moments.gap[back] = max(0, own), own
        if first >= 0:
            moments.lag[call] = seen[call] - seen[first]
        if moments.others[call]:
            moments.gap[call] = seen[call] - max(seen[o] for o in moments.others[call])
    return frozenset(contradicted)


def leave_out(moments: Moments, seen: list[int], back: int) -> bool:
    """Leave out what a wait cannot have waited for, by its times; say whether there was any."""
    over = moments.others[back]
    moments.others[back] = [o for o in over if seen[o] <= seen[back] + SLACK]
    return len(moments.others[back]) < len(over)
