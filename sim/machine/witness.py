"""Witnesses: two schedules that agree up to a race, and differ in what a reader gets.

A ``Judge`` reads a trace once and looks into any number of findings. What no schedule changes (a
hang, a field without a value, memory used after its free was seen) has no two schedules that
disagree: there one run is all the proof, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streamsan.sim.machine import schedule
from streamsan.sim.machine.draft import Draft
from streamsan.sim.machine.duel import Duel, conflicting, fight
from streamsan.sim.machine.issue import compile_draft, draft_of
from streamsan.sim.machine.outcome import in_words
from streamsan.sim.machine.program import Program
from streamsan.sim.machine.reach import end_of, hold
from streamsan.sim.machine.slots import looks
from streamsan.sim.machine.stuck import circles, in_a_circle, in_vain, stuck_lines
from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind, Semantics

MAX_PAIRS = 64
"""Pairs of actions of two ops that are tried: a captured graph may have many accesses."""


class Witness(NamedTuple):
    """Two runs that disagree (trace-format.md, ``witness``).

    ``got`` is the op whose value ``reader`` saw in each run; None is what was there before, and
    the free of a block stands for its memory being gone. ``words`` say the same. Without a reader
    (two writes that nobody reads), ``got`` is what the memory holds at the end and ``reader`` None.
    ``nodes`` are there where both values come from nodes of one graph launch.
    """

    schedules: tuple[str, str]
    reader: int | None
    got: tuple[int | None, int | None]
    words: tuple[str, str]
    nodes: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the value of the key ``witness`` of a finding."""
        found = {
            "schedules": list(self.schedules), "reader": self.reader, "got": list(self.got),
            "words": list(self.words),
        }  # fmt: skip
        return found if self.nodes is None else {**found, "nodes": list(self.nodes)}


class Verdict(NamedTuple):
    """What became of a confirmation: a witness, or the reason why there is none.

    ``confirmed`` without a witness: it happens in every schedule, of which ``schedule`` is one.
    ``circle`` says who waits for whom, for a program that hangs.
    """

    witness: Witness | None
    reason: str
    confirmed: bool = False
    schedule: str = ""
    circle: tuple[str, ...] = ()


class Judge:
    """Looks for witnesses in one trace."""

    def __init__(self, trace: Trace, semantics: Semantics | None = None) -> None:
        """Read the trace once, as it is and (when asked for) with what the host does unseen."""
        self.trace = trace
        self.semantics = semantics
        self._drafts: dict[bool, tuple[Draft, Program]] = {}

    def pair(self, one: int, other: int, nodes: tuple[int, ...] | None = None) -> Verdict:
        """Look for a witness of a race between two ops, or two nodes of one launch.

        Only the memory that both touch is kept, and only the actions that they need are run. A
        ``host_task_done`` stands for its task.

        Raises:
            IndexError: an op that the trace has not.
        """
        self._check(one, other)
        found = self._look_at_slot((one, other))
        if found is not None:
            return found
        ops = (self._task(one), self._task(other))
        shape = self._draft(self._escapes(ops))[1]
        program = self.program(*ops)
        pairs = list(conflicting(program, ops, nodes))
        if not pairs:
            return Verdict(None, "not reproduced: the two ops have no conflicting accesses")
        reasons = []
        for pair in pairs[:MAX_PAIRS]:
            duel = fight(program, pair)
            if duel.confirmed:
                return Verdict(_witness(program, shape, duel), duel.reason, confirmed=True)
            reasons.append(duel.reason)
        cut = "" if len(pairs) <= MAX_PAIRS else f"; {len(pairs) - MAX_PAIRS} more pairs not tried"
        return Verdict(None, reasons[0] + cut)

    def program(self, *ops: int) -> Program:
        """Give the program in which ops are looked into: only the memory that they touch is kept.

        What the host does unseen is run where one of the ops is a ``host_escape`` (detail 14).
        """
        mine = [self._task(op) for op in ops]
        return compile_draft(self._draft(self._escapes(mine))[0], watch=mine)

    def hang(self, *ops: int) -> Verdict:
        """Look whether ops wait in vain in every schedule, and in which circle.

        Raises:
            IndexError: an op that the trace has not.
        """
        self._check(*ops)
        _, shape = self._draft(False)
        state = end_of(shape)
        stuck = stuck_lines(shape, state)
        done = [
            action.op
            for line, count in zip(shape.lines, state.progress, strict=True)
            for action in line.actions[count >> 1 :]
            if action.op in ops
        ]
        if not stuck or set(ops) - set(done):
            return Verdict(None, "not reproduced: in every schedule the ops are done in the end")
        mine = [c for c in circles(stuck) if any(each.op in ops for each in c)]
        told = in_a_circle(shape, mine[0]) if mine else in_vain(shape, stuck)
        reached = schedule.write(shape, (), [hold(shape, ()).counts])
        return Verdict(None, "confirmed: every schedule ends here", True, reached, tuple(told))

    def taking(self, op: int) -> Verdict | None:
        """Say what a slot op finds; None where the op takes nothing out of a slot."""
        self._check(op)
        return self._look_at_slot((op,))

    def _look_at_slot(self, ops: tuple[int, ...]) -> Verdict | None:
        takes = (Kind.SLOT_READ, Kind.SLOT_CONSUME)
        if not any(self.trace.kind[op] in takes for op in ops):
            return None
        found = [look for look in looks(self.trace) if look.op in ops]
        wrong = [look for look in found if look.wrong]
        look = wrong[0] if wrong else found[-1]
        left = f" (op {look.left_by} left it so)" if look.left_by >= 0 else ""
        what = f"op {look.op} finds {look.found} in {look.slot}{left}"
        if wrong:
            return Verdict(None, f"confirmed: in every schedule {what}", confirmed=True)
        return Verdict(None, f"not reproduced: in every schedule {what}")

    def _task(self, op: int) -> int:
        """Give the submit of the task that an op sees done; any other op as it is."""
        trace = self.trace
        if trace.kind[op] != Kind.HOST_TASK_DONE:
            return op
        for earlier in range(op - 1, -1, -1):
            is_submit = trace.kind[earlier] == Kind.HOST_TASK_SUBMIT
            if is_submit and trace.obj[earlier] == trace.obj[op]:
                return earlier
        return op

    def _escapes(self, ops: Sequence[int]) -> bool:
        return any(self.trace.kind[op] == Kind.HOST_ESCAPE for op in ops)

    def _draft(self, escapes: bool) -> tuple[Draft, Program]:
        if escapes not in self._drafts:
            draft = draft_of(self.trace, self.semantics, escapes=escapes)
            self._drafts[escapes] = draft, compile_draft(draft, watch=())
        return self._drafts[escapes]

    def _check(self, *ops: int) -> None:
        for op in ops:
            if not 0 <= op < len(self.trace):
                raise IndexError(f"the trace has no op {op}")


def confirm(
    trace: Trace, ops: tuple[int, int], semantics: Semantics | None = None
) -> Witness | None:
    """Give a witness of a race between two ops; None where ``judge`` says why there is none."""
    return judge(trace, ops, semantics).witness


def judge(
    trace: Trace,
    ops: tuple[int, int],
    semantics: Semantics | None = None,
    nodes: tuple[int, ...] | None = None,
) -> Verdict:
    """Look for a witness of a race between two ops, a free among them or not.

    Raises:
        IndexError: an op that the trace has not.
    """
    return Judge(trace, semantics).pair(*ops, nodes)


def _witness(program: Program, shape: Program, duel: Duel) -> Witness | None:
    """Write a duel down; ``shape`` has the same lines, and its checksum is known."""
    if duel.got is None:
        return None
    first, second = (schedule.write(shape, run, duel.ahead) for run in duel.runs)
    writers = [program.writer_of(value) for value in duel.got]
    nodes = tuple(node for _, node in writers if node is not None)
    return Witness(
        (first, second),
        duel.reader,
        (_op(writers[0], duel.got[0]), _op(writers[1], duel.got[1])),
        (in_words(program, duel.got[0]), in_words(program, duel.got[1])),
        (nodes[0], nodes[1]) if len(nodes) == len(writers) else None,
    )


def _op(writer: tuple[int | None, int | None], value: int) -> int | None:
    return writer[0] if value >= 0 else None
