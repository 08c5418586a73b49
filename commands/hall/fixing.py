"""What ``streamsan fix`` has done, and whether the machine agrees; in text and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from streamsan.checkers import Finding
    from streamsan.checkers.fix import Edited
    from streamsan.checkers.fix_all import Mended
    from streamsan.sim.machine.slack import Allowed
    from streamsan.traces import Trace
    from streamsan.traces.model import Op

SMALL = 400
"""Ops up to which all schedules of the fixed trace are tried, too."""
STATES = 5_000
PAIR = 2
MOST = 4
"""Ops that could come earlier without a wait, of which the text tells."""


class Agreement(NamedTuple):
    """What the machine says of the fixed trace.

    ``still`` are the pairs of ops (of the first trace) that it can still run in both orders;
    ``outcomes`` is None where not all schedules were tried.
    """

    looked_at: int
    still: tuple[tuple[int, ...], ...]
    outcomes: int | None

    @property
    def agrees(self) -> bool:
        """Whether it finds no hazard either."""
        return not self.still and self.outcomes in (None, 1)


class Slack(NamedTuple):
    """A wait that can be left out, and what could come earlier without it.

    Ops are those of the trace as it was.
    """

    op: int
    words: str
    stack: tuple[str, ...]
    implied: bool
    allowed: tuple[Allowed, ...]


class Result(NamedTuple):
    """All that the report needs."""

    path: str
    output: str | None
    mended: Mended
    final: Edited
    """The fixed trace, as edits of the one with the fixes: without waits that were removed."""
    redundant: tuple[Slack, ...]
    removed: bool
    agreement: Agreement


def agreement(mended: Mended, fixed: Trace) -> Agreement:
    """Run each pair that was a hazard in the fixed trace, and a small trace as a whole."""
    from streamsan.checkers.fix_all import is_hazard
    from streamsan.commands.hall.confirming import Confirmer
    from streamsan.sim.machine import explore

    trace = mended.edited.trace
    confirmer = Confirmer(trace)
    still: list[tuple[int, ...]] = []
    pairs = [f for f in mended.before if is_hazard(f) and len(f.ops) == PAIR]
    for finding in pairs:
        now = tuple(mended.edited.now(op) for op in finding.ops)
        if min(now) < 0:
            continue
        looked = confirmer.look(_moved(finding, now))
        left = any(f.ops == finding.ops for f in mended.left)
        if looked is not None and looked.verdict.confirmed and not left:
            still.append(finding.ops)
    outcomes = None
    if len(fixed) <= SMALL and not mended.left:
        found = explore(fixed, max_states=STATES)
        outcomes = len(found.found) if found.complete else None
    return Agreement(len(pairs), tuple(still), outcomes)


def _moved(finding: Finding, ops: tuple[int, ...]) -> Finding:
    from dataclasses import replace

    return replace(finding, ops=ops)


def slack(edited: Edited, waits: list[Finding]) -> Iterator[Slack]:
    """Say of needless waits of the fixed trace what the program could do without them."""
    from streamsan.sim.machine.slack import allowed_without

    for wait in waits:
        op = wait.fix["remove"] if wait.fix is not None else wait.ops[-1]
        view = edited.trace[op]
        allowed = tuple(
            one._replace(op=edited.origin[one.op], before=edited.origin[one.before])
            for one in allowed_without(edited.trace, op)
        )
        implied = wait.severity == "info"
        yield Slack(edited.origin[op], _call(view), view.stack, implied, allowed)


def _call(view: Op) -> str:
    from streamsan.traces.ops import Kind

    what = view.obj or view.stream or f"device {view.device}"
    waiter = view.stream if view.kind == Kind.STREAM_WAIT_EVENT else f"host:{view.thread}"
    return f"{view.word} for {what}, on {waiter}"


def as_text(result: Result) -> str:
    """Say what was added where, with stacks, what is left, and which waits are needless."""
    from streamsan.checkers.reports.console import visible

    return "".join(f"{visible(line)}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    from streamsan.checkers.fix_all import is_hazard

    mended = result.mended
    final = result.final
    hazards = sum(is_hazard(finding) for finding in mended.before)
    fixes = _count(len(mended.mends), "fix", "fixes")
    yield f"{result.path}: {_count(hazards, 'hazard')}, {fixes}."
    for turn, (each, added) in enumerate(zip(mended.mends, mended.edited.added, strict=True), 1):
        yield ""
        why = ", ".join(f"{f.rule} (ops {' and '.join(map(str, f.ops))})" for f in each.reasons)
        yield f"{turn}. for {why}"
        for place in places(mended.edited, each.fix, _now(final, added)):
            yield f"   {place['do']}"
            yield from (f"     {frame}" for frame in place["stack"])
    yield ""
    for finding in mended.left:
        yield f"left: {finding.rule}, ops {finding.ops}: no sync mends it. {finding.hint}"
    for finding in mended.new:
        yield f"new: {finding.rule}, ops {finding.ops}: {finding.message}"
    for finding in mended.costs:
        yield f"now needless: {finding.rule}: {finding.message}"
    if not mended.left and not mended.new:
        yield "After it no hazard is left, and nothing new is found."
    yield _agreed(result.agreement)
    for wait in result.redundant:
        yield from _redundant(wait, removed=result.removed)
    if result.output is not None:
        yield f"Wrote {result.output} ({_count(len(final.trace), 'op')})."


def _agreed(found: Agreement) -> str:
    if found.still:
        pairs = ", ".join(f"{a} and {b}" for a, b in found.still)
        return f"The machine does NOT agree: it still runs ops {pairs} in both orders."
    each = f"none of {_count(found.looked_at, 'pair')} runs in both orders any more"
    if found.outcomes is None:
        return f"The machine agrees: {each} (not all schedules were tried)."
    if found.outcomes > 1:
        return f"The machine does NOT agree: all schedules have {found.outcomes} outcomes."
    return f"The machine agrees: {each}, and all schedules have one outcome."


def _redundant(each: Slack, *, removed: bool) -> Iterator[str]:
    yield ""
    what = "removed" if removed else "redundant"
    why = "the order implies it already" if each.implied else "nothing that it orders conflicts"
    yield f"{what}: op {each.op} ({each.words}): {why}"
    yield from (f"     {frame}" for frame in each.stack)
    if not each.allowed:
        yield "   without it nothing could come earlier"
    for one in each.allowed[:MOST]:
        race = ", which would be a race" if one.conflicts else ""
        yield (
            f"   without it op {one.op} on {one.line} could start before op {one.before} on "
            f"{one.other} has ended{race}"
        )
    if len(each.allowed) > MOST:
        yield f"   and {len(each.allowed) - MOST} more"


def _now(final: Edited, added: tuple[int, int]) -> tuple[int, int]:
    return final.now(added[0]), final.now(added[1])


def places(edited: Edited, fix: Mapping[str, Any], added: tuple[int, int]) -> list[dict[str, Any]]:
    """Name the record and the wait of a fix by op and stack: where a person types them in."""
    trace = edited.trace
    if "remove" in fix:
        return [{"do": f"leave out op {fix['remove']}", "op": None, "beside": fix["remove"],
                 "stack": []}]  # fmt: skip
    record, wait = fix["record"], fix["wait"]
    after, before = (trace[edited.now(op)] for op in (record["after"], wait["before"]))
    waiter = f"let {wait['stream']} wait for it" if "stream" in wait else (
        f"synchronise with it on host:{wait['thread']}")  # fmt: skip
    return [
        {"do": f"record an event on {record['stream']} right after op {record['after']} "
               f"({after.name}); op {added[0]} of the fixed trace",
         "op": added[0], "beside": record["after"], "stack": list(after.stack)},
        {"do": f"{waiter} right before op {wait['before']} ({before.name}); "
               f"op {added[1]} of the fixed trace",
         "op": added[1], "beside": wait["before"], "stack": list(before.stack)},
    ]  # fmt: skip


def as_json(result: Result) -> str:
    """Give one JSON object."""
    from streamsan.checkers.reports.machine import as_json as printed

    mended = result.mended
    return printed({
        "version": 1, "path": result.path, "output": result.output,
        "fixes": [
            {"for": [{"rule": f.rule, "ops": f.ops} for f in each.reasons], "fix": each.fix,
             "places": places(mended.edited, each.fix, _now(result.final, added))}
            for each, added in zip(mended.mends, mended.edited.added, strict=True)
        ],
        "left": [finding.to_json() for finding in mended.left],
        "new": [finding.to_json() for finding in mended.new],
        "costs": [finding.to_json() for finding in mended.costs],
        "machine": {**result.agreement._asdict(), "agrees": result.agreement.agrees},
        "redundant": [
            {"op": each.op, "removed": result.removed, "implied": each.implied,
             "stack": each.stack, "allows": [one._asdict() for one in each.allowed]}
            for each in result.redundant
        ],
    })  # fmt: skip


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
