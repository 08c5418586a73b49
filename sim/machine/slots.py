"""Fields of the program (``slot_*`` ops): what each taker finds, which no schedule changes.

What binds to what on one slot is taken as observed (cuda-ordering.md, section 1): the file's order
of its ops is part of the program. So a slot is no memory that ops race for, and what a taker finds
is found in every run (SO701 to SO703).
"""

from __future__ import annotations

from typing import NamedTuple

from streamsan.traces.model import Trace
from streamsan.traces.ops import Kind


class Look(NamedTuple):
    """What an op found in a slot, and the op that left it so; -1 where nothing did.

    ``wrong``: the field holds no value, another version than expected, or was taken before.
    """

    op: int
    slot: str
    found: str
    left_by: int
    wrong: bool


class _Field(NamedTuple):
    """What a slot holds: the op that emptied it, that filled it, that took it; -1 for none."""

    emptied: int = -1
    filled: int = -1
    taken: int = -1
    version: int | None = None


def looks(trace: Trace) -> list[Look]:
    """Give what each ``slot_read`` and ``slot_consume`` finds, in issue order."""
    held: dict[str, _Field] = {}
    found = []
    for op, kind in enumerate(trace.kind.tolist()):
        if kind not in _SLOTS:
            continue
        name = str(trace[op].obj)
        field = held.get(name, _Field())
        if kind == Kind.SLOT_DEFER:
            held[name] = _Field(emptied=op)
        elif kind == Kind.SLOT_RESOLVE:
            held[name] = field._replace(emptied=-1, filled=op, version=trace[op].number)
        else:
            found.append(_look(trace, op, name, field))
        if kind == Kind.SLOT_CONSUME and field.emptied < 0:
            held[name] = field._replace(taken=op)
    return found


_SLOTS = (Kind.SLOT_DEFER, Kind.SLOT_RESOLVE, Kind.SLOT_READ, Kind.SLOT_CONSUME)


def _look(trace: Trace, op: int, name: str, field: _Field) -> Look:
    """Compare what is there with what the taker wants; putting it back does not make it new."""
    if field.emptied >= 0:
        return Look(op, name, "no value", field.emptied, wrong=True)
    is_read = trace.kind[op] == Kind.SLOT_READ
    if field.taken >= 0 and not is_read:
        return Look(op, name, "a value that was taken before", field.taken, wrong=True)
    wanted = trace[op].number if is_read else None
    words = "a value" if field.version is None else f"version {field.version}"
    stale = None not in (wanted, field.version) and wanted != field.version
    words = f"{words}, not version {wanted}" if stale else words
    return Look(op, name, words, field.filled, wrong=stale)
