"""What a program says of itself: names, regions, kernels, and fields that hold None for a while."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import streamsan
from streamsan.traces import ops as o
from streamsan.traces.build import from_ops
from streamsan.traces.recorder import sink
from streamsan.traces.recorder.annotate import current_name


class Kept:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.ops: list[Any] = []

    def emit(self, op: o.OpBase) -> None:
        self.ops.append(op)

    def range_of(self, value: object) -> o.RangeSpec | None:
        return value if isinstance(value, str) else None

    def kernel(
        self, name: str, run: Callable[..., object], arguments: Sequence[Any],
        reads: Sequence[Any], writes: Sequence[Any],
    ) -> None:  # fmt: skip
        run(*arguments)
        self.ops.append(o.Launch(stream="s", name=name, reads=tuple(reads), writes=tuple(writes)))

    def told(self) -> list[str]:
        return [str(type(op).__struct_config__.tag) for op in self.ops]


@pytest.fixture
def kept() -> Iterator[Kept]:
    found = Kept()
    sink.begin(found)
    yield found
    sink.end(found)


class Value:
    """Something like a tensor: it can be held weakly."""


class Batch:
    extra: str | None = "default"

    def __init__(self) -> None:
        self.input_ids: Any = None


def test_an_assignment_resolves_and_none_defers(kept: Kept) -> None:
    batch = Batch()
    handle = streamsan.slot(batch, "input_ids")
    batch.input_ids = "d1"
    assert batch.input_ids == "d1"

    assert kept.told() == ["slot_defer", "slot_resolve", "slot_read"]
    assert kept.ops[1].value == "d1"
    assert {op.slot for op in kept.ops} == {handle.name}


def test_asking_for_none_is_no_use(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "input_ids")
    kept.ops.clear()
    if batch.input_ids is None:
        pass
    if batch.input_ids is not None:
        raise AssertionError
    missing = batch.input_ids is None
    if (found := batch.input_ids) is not None:
        raise AssertionError(found)
    assert missing
    assert kept.told() == []


def test_handing_none_on_is_a_use(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "input_ids")
    kept.ops.clear()
    given = [batch.input_ids]

    assert given == [None]
    assert kept.told() == ["slot_read"]
    trace = from_ops([o.SlotDefer(slot=kept.ops[0].slot), *kept.ops])
    assert "SO701" in {f.rule for f in streamsan.check(trace)}


def test_a_value_is_taken_once(kept: Kept) -> None:
    batch, value = Batch(), Value()
    streamsan.slot(batch, "input_ids", once=True)
    batch.input_ids = value
    first = batch.input_ids
    batch.input_ids = None
    assert kept.told() == ["slot_defer", "slot_resolve", "slot_consume"]
    batch.input_ids = first  # the very value that was taken is put back, and taken again
    assert batch.input_ids is value

    assert kept.told()[3:] == ["slot_resolve", "slot_consume"]
    assert "SO703" in {f.rule for f in streamsan.check(from_ops(kept.ops))}


def test_a_new_value_may_be_taken_again(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "input_ids", once=True)
    for value in ("d1", "d2"):
        batch.input_ids = value
        assert batch.input_ids == value

    assert kept.told().count("slot_consume") == 2
    assert "SO703" not in {f.rule for f in streamsan.check(from_ops(kept.ops))}


def test_a_copy_is_not_watched(kept: Kept) -> None:
    batch = Batch()
    batch.input_ids = "d1"
    streamsan.slot(batch, "input_ids")
    other = copy.copy(batch)
    del vars(other)["_streamsan_slots"]
    kept.ops.clear()
    other.input_ids = "d2"

    assert (other.input_ids, kept.told()) == ("d2", [])
    assert vars(batch)["input_ids"] == "d1"


def test_other_objects_of_the_class_are_not_watched(kept: Kept) -> None:
    streamsan.slot(Batch(), "input_ids")
    kept.ops.clear()
    other = Batch()
    other.input_ids = "d1"

    assert (other.input_ids, kept.told()) == ("d1", [])
    assert type(other) is Batch


def test_a_default_of_the_class_counts(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "extra")

    assert batch.extra == "default"
    assert kept.told() == ["slot_resolve", "slot_read"]


def test_a_field_that_is_not_there(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "nothing")

    with pytest.raises(AttributeError, match="'Batch' object has no attribute 'nothing'"):
        getattr(batch, "nothing")  # noqa: B009
    assert kept.told() == []


def test_the_object_keeps_its_class(kept: Kept) -> None:
    batch = Batch()
    streamsan.slot(batch, "input_ids")
    streamsan.slot(batch, "extra")

    assert isinstance(batch, Batch)
    assert (type(batch).__name__, type(batch).__module__) == ("Batch", __name__)
    assert kept.told() == ["slot_defer", "slot_resolve"]


def test_a_slot_is_made_once_and_named_once(kept: Kept) -> None:
    one, other = Batch(), Batch()
    first = streamsan.slot(one, "input_ids")

    assert streamsan.slot(one, "input_ids") is first
    assert streamsan.slot(other, "input_ids").name != first.name
    assert streamsan.slot(Batch(), "input_ids", name="mine").name == "mine"
    assert first.name.endswith(".input_ids")
    assert len(kept.ops) == 3


def test_what_cannot_be_watched_is_refused(kept: Kept) -> None:
    with pytest.raises(TypeError, match=r"of a int cannot be watched: use streamsan\.Slot"):
        streamsan.slot(5, "input_ids")
    assert kept.told() == []


def test_a_slot_by_hand(kept: Kept) -> None:
    handle = streamsan.Slot("future")
    handle.defer("d1")
    handle.resolve("d2", version=3)
    handle.read(expects_version=3)
    handle.consume()

    assert kept.told() == ["slot_defer", "slot_resolve", "slot_read", "slot_consume"]
    assert (kept.ops[0].source, kept.ops[1].version, kept.ops[2].expects_version) == ("d1", 3, 3)


def test_regions_marks_and_kernels(kept: Kept) -> None:
    with pytest.raises(ZeroDivisionError), streamsan.region("step", iteration=2):  # noqa: PT012
        streamsan.mark("here", why="so")
        raise ZeroDivisionError
    streamsan.kernel("k", lambda: None, reads=["a"], writes=["b"])

    assert kept.told() == ["region_begin", "mark", "region_end", "launch"]
    assert kept.ops[0].tag == {"iteration": 2}
    assert kept.ops[1].tag == {"why": "so"}
    assert (kept.ops[3].reads, kept.ops[3].writes) == (("a",), ("b",))


def test_names_nest() -> None:
    with streamsan.named("outer"):
        with streamsan.named("inner"):
            assert current_name() == "inner"
        assert current_name() == "outer"
    assert current_name() is None


def test_without_a_recorder_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "_SINKS", [])  # the simulated device listens once it is installed
    batch, ran = Batch(), list[int]()
    streamsan.slot(batch, "input_ids")
    streamsan.mark("here")
    with streamsan.region("step"):
        streamsan.kernel("k", ran.append, 1)

    assert type(batch) is Batch
    assert "_streamsan_slots" not in vars(batch)
    assert ran == [1]
