"""What comes of serving requests: tokens, what the host saw, and whether the oracle agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.reference import generate
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces import Trace
from streamsan.traces.recorder.matching import Matched

Outcome = dict[str, Any]
"""What came of a run, by name: what each request got, what the host saw, what kernels read."""


@dataclass(frozen=True)
class Played:
    """One run. ``wrong`` lists requests whose tokens are not the oracle's, and what else failed."""

    outcome: Outcome
    wrong: tuple[str, ...]
    trace: Trace | None = None
    schedule: str = ""
    matched: Matched | None = None
    """On a GPU: what its profiler saw, and which op each of it is."""
    note: str = ""
    """Why device times are missing, where they are."""


def serve(
    args: ServerArgs,
    asks: tuple[Ask, ...],
    device: str,
    follow: Callable[[Scheduler], None] | None = None,
) -> tuple[Outcome, tuple[str, ...]]:
    """Serve requests on a device, and compare with the oracle. A failure is an outcome too.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        device: ``simcuda`` or ``cuda``.
        follow: called with the scheduler before it begins.
    """
    try:
        scheduler = Scheduler(args, device)
        if follow is not None:
            follow(scheduler)
        reqs = scheduler.serve(asks)
        outcome = _outcome(scheduler, reqs)
    except RuntimeError as error:
        return failed(error)
    wrong = [told for req in reqs if (told := _wrong(args, req))]
    return outcome, (*wrong, *scheduler.failures)


def failed(error: RuntimeError) -> tuple[Outcome, tuple[str, ...]]:
    """Give the outcome of a run that an error ended: torch tells those of the device so, too."""
    told = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
    return {"end": told}, (told,)


def _outcome(scheduler: Scheduler, reqs: list[Req]) -> Outcome:
    relay = scheduler.future_map
    outcome: Outcome = {f"request {req.rid}": _given(req) for req in reqs}
    outcome["tokens as the host saw them"] = scheduler.host_saw
    outcome["lengths as the host saw them"] = [req.committed for req in reqs]
    with scheduler.device.on(scheduler.streams.S):
        outcome["output_tokens_buf"] = relay.output_tokens_buf.cpu().tolist()
        outcome["new_seq_lens_buf"] = relay.new_seq_lens_buf.cpu().tolist()
    return outcome


def _given(req: Req) -> list[Any]:
    numbers = [*req.input_logprobs, *req.output_logprobs, *req.embedding]
    return [*req.output_ids, *(round(number, 9) for number in numbers)]


def _wrong(args: ServerArgs, req: Req) -> str:
    """Say how a request's tokens differ from the oracle's; empty where they do not."""
    expected = _oracle(req.ask, args, tuple(req.penalised))
    if req.output_ids == expected:
        return ""
    return f"request {req.rid}: {req.output_ids} in place of {expected}"


@cache
def _oracle(ask: Ask, args: ServerArgs, penalised: tuple[int, ...]) -> list[int]:
    """Give the oracle's tokens: it is asked the same again in every run of a scenario."""
    return generate(ask, args, list(penalised) or None).tokens


def difference(one: Outcome, other: Outcome) -> str | None:
    """Say where two outcomes differ first; None where they do not."""
    for name in (*one, *(name for name in other if name not in one)):
        if one.get(name) != other.get(name):
            return f"{name}: {_short(one.get(name))} in place of {_short(other.get(name))}"
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:96]}..."  # noqa: PLR2004
