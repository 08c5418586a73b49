"""Laps of one scheduler: requests that keep coming, and tokens held against the oracle."""

from __future__ import annotations

from functools import cache

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.reference import generate
from streamsan.sim.scheduler.requests import Ask
from streamsan.sim.scheduler.scheduler import Scheduler

_ARGS = ServerArgs(slots=200)  # enough for four requests to their end
_ARRIVALS = 160
"""Iterations of a lap in which requests arrive: the rest of its two hundred is for the last."""
_EVERY = 4
_KINDS = 8


class Laps:
    """Serves on one scheduler as long as asked to.

    ``steps`` counts iterations, ``requests`` what was served, ``wrong`` those whose tokens are not
    the oracle's.
    """

    def __init__(self, device: str) -> None:
        self._scheduler = Scheduler(_ARGS, device)
        self.clear()

    def clear(self) -> None:
        """Count from nothing."""
        self.steps = self.requests = self.wrong = 0

    def run(self) -> None:
        """Serve one lap, until the device is done."""
        scheduler = self._scheduler
        scheduler.iteration = 0
        scheduler.host_saw.clear()
        reqs = scheduler.serve(_asks())
        scheduler.device.synchronize()
        self.steps += scheduler.iteration
        self.requests += len(reqs)
        self.wrong += sum(req.output_ids != _expected(req.ask) for req in reqs)


@cache
def _asks() -> tuple[Ask, ...]:
    """Give the requests of a lap: about four are served at any time."""
    return tuple(_ask(number % _KINDS, number * _EVERY) for number in range(_ARRIVALS // _EVERY))


def _ask(kind: int, arrives: int) -> Ask:
    prompt = tuple((3 * kind + 5 * k) % 32 for k in range(4 + kind % 3))
    return Ask(prompt, 12 + kind % 4, arrives)


def _expected(ask: Ask) -> list[int]:
    return _tokens(ask.prompt, ask.new_tokens)


@cache
def _tokens(prompt: tuple[int, ...], new_tokens: int) -> list[int]:
    return generate(Ask(prompt, new_tokens), _ARGS).tokens
