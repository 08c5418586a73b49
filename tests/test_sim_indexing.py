"""At which indexing the host waits: as torch does on CUDA, where it was looked at call by call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamsan import sim
from streamsan.traces import layout
from streamsan.traces import ops as o

pytest.importorskip("torch")

import torch
from sim_table_twins import plain, same

sim.install()
DEVICE = "simcuda"
m: Any = torch.get_device_module(DEVICE)
SIZE = 6
Place = Callable[[str], Any]


def mask(device: str) -> Any:
    return torch.tensor([True, False, False, True, False, True], device=device)


def index(device: str) -> Any:
    return torch.tensor([1, 3], device=device)


PLACES: dict[str, tuple[Place, list[str], list[str]]] = {
    "number": (lambda _: 0, ["to"], []),
    "slice": (lambda _: slice(2, 5), [], []),
    "all": (lambda _: ..., [], []),
    "list": (lambda _: [1, 2], ["to", "to"], ["to"]),
    "index": (index, ["to"], []),
    "cpu_index": (lambda _: index("cpu"), ["to", "to"], ["to"]),
    "mask": (mask, [], ["mask_index"]),
    "cpu_mask": (lambda _: mask("cpu"), ["to"], []),
    "column_mask": (lambda d: (slice(None), mask(d)), [], ["mask_index"]),
    "row_and_mask": (lambda d: (0, mask(d)), [], ["mask_index"]),
    "square_mask": (lambda d: mask(d)[:, None] & mask(d), [], ["mask_index"]),
    "cpu_square_mask": (lambda _: mask("cpu")[:, None] & mask("cpu"), ["to"], []),
    "two_masks": (lambda d: (mask(d), mask(d)), ["to", "mask_index"], ["mask_index"]),
    "index_and_number": (lambda d: (index(d), 0), ["to"], []),
    "element": (lambda _: (1, 2), ["to"], []),
}
"""A place, and what the host waits for: where a number is written there, and where it is read."""
SQUARE = {"column_mask", "row_and_mask", "square_mask", "cpu_square_mask", "two_masks",
          "index_and_number", "element"}  # fmt: skip


def target(device: str, name: str) -> Any:
    shape = (SIZE, SIZE) if name in SQUARE else (SIZE,)
    return torch.arange(float(torch.Size(shape).numel()), device=device).view(shape)


def waits(call: Callable[[], object]) -> list[str]:
    """Give the copies at which the host waits in a call, by what the program wrote."""
    m.synchronize()
    event = m.Event()
    torch.zeros(1, device=DEVICE)
    event.record()
    begin = len(sim.trace())
    call()
    held = list(sim.trace())[begin:]
    assert event.query() is any(blocks(op) for op in held)
    return ["to" if op.via == "copy_" else str(op.via) for op in held if blocks(op)]


def blocks(op: Any) -> bool:
    stream = layout.bits_of(o.Memcpy, "wait", "stream")
    return bool(op.word == "memcpy" and op.trace.bits[op.id] & stream == stream)


@pytest.mark.parametrize("name", PLACES)
def test_the_host_waits_where_torch_copies(name: str) -> None:
    where, writes, reads = PLACES[name]
    with sim.session("lazy"):
        x, place, scalar = target(DEVICE, name), where(DEVICE), torch.tensor(7.0)
        on_device = scalar.to(DEVICE)
        assert waits(lambda: x.__setitem__(place, 7.0)) == writes
        assert waits(lambda: x.__setitem__(place, scalar)) == writes
        assert waits(lambda: x[place]) == reads
        assert waits(lambda: x.__setitem__(place, on_device)) == reads


@pytest.mark.parametrize("policy", ["eager", "lazy", "random(3)"])
@pytest.mark.parametrize("name", PLACES)
def test_the_values_are_those_of_the_cpu(name: str, policy: str) -> None:
    where = PLACES[name][0]
    with sim.session(policy):
        for value in (7, 7.5, torch.tensor(3.0), torch.tensor([4.0])):
            right, found = target("cpu", name), target(DEVICE, name)
            right[where("cpu")] = value
            found[where(DEVICE)] = value
            same(right, plain(found))
        same(plain(right[where("cpu")]), plain(found[where(DEVICE)]))


def test_what_takes_no_mask_at_once_waits_for_how_many_there_are() -> None:
    with sim.session("lazy"):
        x, m, one = target(DEVICE, "mask"), mask(DEVICE), torch.tensor(1.0)
        assert waits(lambda: x.index_put_((m,), one)) == []
        assert waits(lambda: x.index_put((m,), one)) == []
        assert waits(lambda: x.index_put_((m,), one, accumulate=True)) == ["to", "mask_index"]
        assert waits(lambda: x.index_put_((index(DEVICE),), one, accumulate=True)) == ["to", "to"]
        same(plain(x), torch.tensor([2.0, 2.0, 2.0, 3.0, 4.0, 2.0]))


def test_a_number_takes_the_type_of_what_it_is_written_to() -> None:
    with sim.session():
        whole = torch.arange(4, device=DEVICE)
        whole[1:] = 2.75
        whole[0] = True
        same(plain(whole), torch.tensor([1, 2, 2, 2]))


def test_a_pinned_mask_is_read_by_the_host() -> None:
    with sim.session("lazy"):
        x, m = target(DEVICE, "mask"), mask("cpu").pin_memory()
        assert waits(lambda: x[m]) == []
        found = {(op.word, op.via) for op in sim.trace()}
        assert {("host_read", "nonzero"), ("host_write", "nonzero")} <= found


def test_a_cpu_tensor_is_not_indexed_by_the_device() -> None:
    with pytest.raises(RuntimeError, match="indices should be"):
        torch.zeros(4)[index(DEVICE)]
