"""Fields that hold None for a while: their deferral, resolution and use, made visible (SO7xx).

A scheduler that uploads late sets ``batch.input_ids = None`` and gives it a value only when the
forward pass begins. Whoever takes the field in between gets None::

    streamsan.slot(batch, "input_ids")
    streamsan.slot(batch, "prefill_input_ids_cpu", once=True)

From then on each assignment and each use of the field is an op of the trace.
"""

from __future__ import annotations

import dis
import sys
import weakref
from collections.abc import Callable
from functools import cache
from itertools import count
from types import CodeType
from typing import Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.sink import active

_HANDLES = "_streamsan_slots"
_MISSING: Any = object()
_NUMBERS: dict[str, count[int]] = {}
_TESTS = ("POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE", "POP_JUMP_FORWARD_IF_NONE",
          "POP_JUMP_FORWARD_IF_NOT_NONE", "POP_JUMP_BACKWARD_IF_NONE",
          "POP_JUMP_BACKWARD_IF_NOT_NONE")  # fmt: skip
"""Jumps of ``x is None``; the names changed between Python 3.11 and 3.12."""
_SKIPPED = ("CACHE", "NOT_TAKEN", "COPY", "STORE_FAST", "STORE_NAME", "NOP")


def _nothing() -> object:
    return None


def _weakly(value: object) -> Callable[[], object]:
    """Remember a value without keeping it alive: what is recorded must not live longer for it."""
    try:
        return weakref.ref(value)
    except TypeError:
        return _nothing


class Slot:
    """A field of the program, by name. Its methods are for places that no attribute shows.

    Args:
        name: what it is called in the trace.
        once: whether its value can be taken only once.
    """

    def __init__(self, name: str, *, once: bool = False) -> None:
        self.name = name
        self.once = once
        self._taken: Callable[[], object] = _nothing

    def defer(self, source: object = None) -> None:
        """Say that the field holds no value now; it will be made from ``source``."""
        if (sink := active()) is not None:
            sink.emit(o.SlotDefer(slot=self.name, source=sink.range_of(source)))

    def resolve(self, value: object = None, version: int | None = None) -> None:
        """Say that the field holds a value."""
        if (sink := active()) is not None:
            made = sink.range_of(value)
            sink.emit(o.SlotResolve(slot=self.name, value=made, version=version))

    def read(self, expects_version: int | None = None) -> None:
        """Say that a consumer takes the field's value."""
        if (sink := active()) is not None:
            sink.emit(o.SlotRead(slot=self.name, expects_version=expects_version))

    def consume(self) -> None:
        """Say that a use-once value is taken."""
        if (sink := active()) is not None:
            sink.emit(o.SlotConsume(slot=self.name))

    def assigned(self, value: object) -> None:
        """Note an assignment to the watched attribute."""
        if not self.once:
            self.defer() if value is None else self.resolve(value)
        elif value is not None:
            if value is not self._taken():  # the very value that was taken: it is put back, not new
                self.defer(value)
            self.resolve(value)

    def used(self, value: object) -> None:
        """Note a use of the watched attribute."""
        if not self.once:
            self.read()
        elif value is not None:
            self._taken = _weakly(value)
            self.consume()


def slot(owner: object, field: str, *, once: bool = False, name: str | None = None) -> Slot:
    """Watch an attribute of an object: assignments, and uses.

    Assigning None defers the value, assigning anything else resolves it. Reading the attribute
    uses it; the test ``owner.field is None`` does not, nor does whoever goes through
    ``vars(owner)``. While nobody records, nothing is watched.

    Args:
        owner: an object with a ``__dict__``.
        field: the name of the attribute; its present value counts as assigned now.
        once: whether its value can be taken only once: every use takes it.
        name: what it is called in the trace; by default the class, a number and the field.

    Raises:
        TypeError: the object's attributes cannot be watched.
    """
    handles: dict[str, Slot] = getattr(owner, "__dict__", {}).get(_HANDLES, {})
    if field in handles:
        return handles[field]
    handle = Slot(name or _default_name(owner, field), once=once)
    if active() is None:
        return handle
    kind: Any = type(owner)
    watched: Any = owner
    try:
        attributes = vars(owner)
        watched.__class__ = _watching(kind, field)
    except TypeError:
        raise TypeError(
            f"the attributes of a {kind.__name__} cannot be watched: use streamsan.Slot"
        ) from None
    attributes[_HANDLES] = {**handles, field: handle}
    present = attributes.get(field, getattr(kind, field, _MISSING))
    if present is not _MISSING:
        handle.assigned(present)
    return handle


def _default_name(owner: object, field: str) -> str:
    kind = type(owner).__name__
    return f"{kind}{next(_NUMBERS.setdefault(kind, count()))}.{field}"


@cache
def _watching(kind: type, field: str) -> type:
    """Make the subclass whose attribute is watched; it goes by the name of the class."""

    def get(owner: Any) -> Any:
        value = vars(owner).get(field, _MISSING)
        if value is _MISSING:  # a default of the class
            value = getattr(kind, field, _MISSING)
        if value is _MISSING:
            raise AttributeError(f"{kind.__name__!r} object has no attribute {field!r}")
        frame = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        handle = _handle(owner, field)
        if handle is not None and not _is_test(frame.f_code, frame.f_lasti):
            handle.used(value)
        return value

    def put(owner: Any, value: Any) -> None:
        vars(owner)[field] = value
        if (handle := _handle(owner, field)) is not None:
            handle.assigned(value)

    watched = {field: property(get, put), "__module__": kind.__module__, "__slots__": ()}
    return type(kind.__name__, (kind,), {**watched, "__qualname__": kind.__qualname__})


def _handle(owner: object, field: str) -> Slot | None:
    """Give the handle of an object's own field: a copy has its values, not its watch."""
    handles: dict[str, Slot] = vars(owner).get(_HANDLES, {})
    return handles.get(field)


@cache
def _is_test(code: CodeType, lasti: int) -> bool:
    """Whether the instruction after this one asks if the value is None."""
    after = [i for i in dis.get_instructions(code) if i.offset > lasti and i.opname not in _SKIPPED]
    if not after:
        return False
    if after[0].opname in _TESTS:
        return True
    return len(after) > 1 and after[0].argval is None and after[1].opname == "IS_OP"
