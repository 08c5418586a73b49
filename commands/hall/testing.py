"""What the pytest plug-in does with a test: record it, judge it, run it under other schedules.

No command: it stands here because, like the commands, it brings checkers and sim together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from streamsan.checkers.finding import Finding, Severity
    from streamsan.checkers.policy.baseline import Baseline
    from streamsan.traces import Trace

Device = Literal["sim", "cuda"]
FIRST = ("eager", "lazy")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for one test.

    Args:
        select: rules to run instead of the configuration's.
        ignore: rules to leave out.
        fail_on: the least severity that fails.
        policy: the schedule of the run that is recorded.
        others: further schedules, under which the test must come to the same.
        expect: rules that the test must find.
    """

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    fail_on: Severity | None = None
    policy: str = "eager"
    others: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()


@dataclass(slots=True)
class Seen:
    """What a run came to: how it ended, what host code read of device data, its schedule."""

    policy: str
    ended: str = "passed"
    values: dict[str, list[Any]] = field(default_factory=dict)
    schedule: str = ""


def start_device(wanted: str) -> Device:
    """Get ready to record: on CUDA where torch has it, else on the simulated device.

    Raises:
        UsageError: torch is missing, or has not what is wanted.
    """
    from streamsan.traces.errors import UsageError

    try:
        has_cuda = wanted != "sim" and import_module("torch").cuda.is_available()
    except ImportError:
        raise UsageError("--streamsan needs torch: install streamsan[torch]") from None
    if has_cuda:
        return "cuda"
    if wanted == "cuda":
        raise UsageError("--streamsan-device=cuda, but torch finds no CUDA device")
    from streamsan import sim
    from streamsan.sim.device.errors import SimulationError

    try:
        if not sim.is_installed():
            sim.install()
        sim.redirect_cuda()
    except SimulationError as error:
        raise UsageError(f"--streamsan: {error}") from None
    if not _OBSERVER:
        from streamsan.sim.device.observed import Observer

        _OBSERVER.append(Observer())
        _OBSERVER[0].watch()
    return "sim"


_OBSERVER: list[Any] = []


def observed() -> dict[str, list[Any]]:
    """Give what host code has read of device data so far, by thread."""
    found: dict[str, list[Any]] = _OBSERVER[0].seen if _OBSERVER else {}
    return found


def judge_trace(trace: Trace, wish: Wish, known: Baseline | None) -> tuple[Finding, ...]:
    """Give the findings that count: severe enough, not suppressed, not in the baseline.

    What the test expects counts from any severity on.
    """
    from streamsan.checkers.engine import check
    from streamsan.checkers.finding import RANK
    from streamsan.checkers.policy.config import load_config
    from streamsan.checkers.policy.judge import judge
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.policy.suppress import covers
    from streamsan.checkers.reports.outcome import Outcome, sources_of

    policy = Policy(load_config(), select=wish.select, ignore=wish.ignore, fail_on=wish.fail_on)
    report = check(trace, policy.settings())
    outcome = Outcome("-", findings=report.findings, sources=sources_of(trace))
    (outcome,) = judge([outcome], policy, known).outcomes
    least = RANK[policy.threshold]
    return tuple(
        each
        for each in outcome.findings
        if RANK[each.severity] >= least or any(covers(code, each.rule) for code in wish.expect)
    )


def split(findings: Sequence[Finding], expect: Sequence[str]) -> tuple[list[Finding], list[str]]:
    """Give the findings that nobody expects, and the codes that were expected in vain."""
    from streamsan.checkers.policy.suppress import covers

    bad = [each for each in findings if not any(covers(code, each.rule) for code in expect)]
    missing = [code for code in expect if not any(covers(code, each.rule) for each in findings)]
    return bad, missing


def policies(count: int) -> Iterator[str]:
    """Give schedules: nothing held back, everything held back, then by chance, from seeds."""
    yield from FIRST[:count]
    for seed in range(count - len(FIRST)):
        yield f"random({seed})" if seed % 2 == 0 else f"pct(3,{seed})"


def run_under(policy: str, body: Callable[[], object]) -> tuple[Seen, Trace | None, Any]:
    """Run a body on the simulated device, and give what it came to, its trace, its error.

    Raises:
        ScheduleError: the policy is no schedule.
    """
    from streamsan import sim

    seen = Seen(policy)
    values = observed()
    values.clear()
    error: BaseException | None = None
    with sim.session(policy) as run:
        try:
            body()
        except Exception as raised:  # noqa: BLE001 - the caller decides
            error = raised
            seen.ended = f"{type(raised).__name__}: {raised}"
    seen.values = {name: list(each) for name, each in values.items()}
    seen.schedule = run.schedule
    return seen, run.trace, error


def difference(first: Seen, other: Seen) -> str | None:
    """Say where two runs of a test differ; None where they do not."""
    if first.ended != other.ended:
        return f"{first.policy}: {first.ended}\n{other.policy}: {other.ended}"
    for thread in sorted({*first.values, *other.values}):
        mine, theirs = first.values.get(thread, []), other.values.get(thread, [])
        for one, two in zip(mine, theirs, strict=False):
            if one[0] != two[0]:
                return (
                    f"{two[3]} reads ({two[2]})\n{first.policy}: {one[1]}\n{other.policy}: {two[1]}"
                )
        if len(mine) != len(theirs):
            return f"thread {thread} reads {len(mine)} values, then {len(theirs)}"
    return None


def keep(trace: Trace, folder: Path, name: str) -> Path:
    """Save the trace of a test under a name that any file system takes."""
    import hashlib
    import re

    from streamsan.traces import save

    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^0-9A-Za-z_.-]+", "_", name)[-120:]
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    path = folder / f"{plain}.{mark}.trace.jsonl"
    save(trace, str(path))
    return path
