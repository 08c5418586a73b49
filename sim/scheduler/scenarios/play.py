"""Running a scenario: on the simulated device under a schedule, or on a real one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.reference import generate
from streamsan.sim.scheduler.requests import Ask, Req
from streamsan.sim.scheduler.scheduler import Scheduler
from streamsan.traces import Trace

Outcome = dict[str, Any]
"""What came of a run, by name: tokens and values of each request, and the relay's buffers."""


@dataclass(frozen=True)
class Played:
    """One run. ``wrong`` lists requests whose tokens are not those of the serial oracle."""

    outcome: Outcome
    wrong: tuple[str, ...]
    trace: Trace | None = None
    schedule: str = ""


def play(
    args: ServerArgs,
    asks: tuple[Ask, ...],
    *,
    policy: str = "eager",
    steps: int | None = None,
    record: bool = True,
) -> Played:
    """Serve requests on the simulated device, in a run of its own.

    Args:
        args: what the scheduler is told.
        asks: the requests.
        policy: the schedule, as ``streamsan.sim.run`` takes it.
        steps: tokens for each request, instead of what it asks for.
        record: whether to keep the trace.
    """
    from streamsan import sim

    if not sim.is_installed():
        sim.install()
    gc.collect()  # what an earlier run left would be freed somewhere in this one's record
    asks = tuple(asks if steps is None else (replace(ask, new_tokens=steps) for ask in asks))
    with _quiet_collector(), sim.session(policy, record=record) as run:
        outcome, wrong = serve(args, asks, "simcuda")
    return Played(outcome, wrong, run.trace, run.schedule)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Keep the collector out: an object that it frees would be an op at another place each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def serve(args: ServerArgs, asks: tuple[Ask, ...], device: str) -> tuple[Outcome, tuple[str, ...]]:
    """Serve requests on a device, and compare with the oracle. A failure is an outcome too."""
    try:
        scheduler = Scheduler(args, device)
        reqs = scheduler.serve(asks)
    except RuntimeError as error:
        told = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
        return {"end": told}, (told,)
    relay = scheduler.future_map
    outcome: Outcome = {f"request {req.rid}": _given(req) for req in reqs}
    outcome["tokens as the host saw them"] = scheduler.host_saw
    outcome["lengths as the host saw them"] = [req.committed for req in reqs]
    with scheduler.device.on(scheduler.streams.S):
        outcome["output_tokens_buf"] = relay.output_tokens_buf.cpu().tolist()
        outcome["new_seq_lens_buf"] = relay.new_seq_lens_buf.cpu().tolist()
    return outcome, tuple(_wrong(args, req) for req in reqs if _wrong(args, req))


def _given(req: Req) -> list[Any]:
    numbers = [*req.input_logprobs, *req.output_logprobs, *req.embedding]
    return [req.output_ids, [round(number, 9) for number in numbers]]


def _wrong(args: ServerArgs, req: Req) -> str:
    """Say how a request's tokens differ from the oracle's; empty where they do not."""
    expected = generate(req.ask, args, req.penalised or None)
    if req.output_ids == expected.tokens:
        return ""
    return f"request {req.rid}: {req.output_ids} in place of {expected.tokens}"


def difference(one: Outcome, other: Outcome) -> str | None:
    """Say where two outcomes differ first; None where they do not."""
    for name in (*one, *(name for name in other if name not in one)):
        if one.get(name) != other.get(name):
            return f"{name}: {_short(one.get(name))} in place of {_short(other.get(name))}"
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:96]}..."  # noqa: PLR2004
