"""The tensor on the simulated device: a wrapper around real bytes of the arena.

Torch sees a tensor on ``simcuda:n`` without data; every op on it arrives in
``__torch_dispatch__``, in any thread and without a mode. ``raw`` is a CPU view of the arena at
the tensor's place, on which queued work runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from streamsan.sim.device.errors import UnsupportedError
from streamsan.sim.device.internals import data_of, disabled_torch_function, make_wrapper, set_bits
from streamsan.sim.device.memory import Block
from streamsan.sim.device.queues import Queue
from streamsan.sim.device.ranges import span_of
from streamsan.sim.device.runtime import RT
from streamsan.traces import ops as o

NAME = "simcuda"
Meta = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
Dispatch = Callable[[Any, Sequence[Any], dict[str, Any]], Any]

_devices: list[torch.device] = []
dispatchers: list[Dispatch] = []
"""What carries out an op: set once by ``launch``, which stands above this module."""


def device_of(index: int) -> torch.device:
    """Give the torch.device of a device number."""
    while len(_devices) <= index:
        _devices.append(torch.device(NAME, len(_devices)))
    return _devices[index]


class SimTensor(torch.Tensor):
    """A tensor on a simulated device. ``block`` is its storage; None where it holds no bytes."""

    raw: torch.Tensor
    block: Block | None
    ordinal: int
    span_epoch: tuple[int, o.RangeSpec] | None

    __torch_function__: Any = disabled_torch_function

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Carry an op out."""
        return dispatchers[0](func, args, kwargs or {})

    @property
    def span(self) -> o.RangeSpec | None:
        """The bytes that the tensor stands for; None where there are none."""
        known = self.span_epoch
        if known is not None and known[0] == RT.epoch:
            return known[1]
        block, real = self.block, self.raw
        if block is None or real.numel() == 0:
            return None
        itemsize = real.dtype.itemsize
        start = int(real.storage_offset()) * itemsize - (
            block.chunk.address - block.chunk.segment.address
        )
        span = span_of(block.name, block.nbytes, tuple(real.shape), real.stride(), itemsize, start)
        self.span_epoch = (RT.epoch, span)
        return span

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write elements; a number becomes a scalar of the CPU first, as torch has it on CUDA."""
        if isinstance(value, int | float | complex):
            value = torch.scalar_tensor(value, dtype=self.dtype, device="cpu")
        super().__setitem__(key, value)

    def record_stream(self, stream: Any) -> None:
        """Let the allocator hold the memory until the stream's work at the free is done."""
        if self.block is not None:
            RT.record_stream(self.block, queue_of(stream))

    def data_ptr(self) -> int:
        """Give the simulated address."""
        if self.block is None:
            return 0
        segment = self.block.chunk.segment
        return segment.address + int(self.raw.storage_offset()) * self.raw.dtype.itemsize

    def tolist(self) -> Any:
        """Copy to the host, which waits, and give Python numbers."""
        return host_copy(self, "tolist").tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse as torch does; with ``force`` copy to the host first."""
        if force:
            return host_copy(self.detach(), "numpy").resolve_conj().resolve_neg().numpy()
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy "
            "the tensor to host memory first."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError("Tensor.__dlpack__", "copy the tensor to the CPU first")

    def untyped_storage(self) -> Any:
        """Refuse: there is no storage that torch could see."""
        raise UnsupportedError("Tensor.untyped_storage", "use the tensor itself, or its CPU copy")

    def is_pinned(self, device: Any = None) -> bool:  # noqa: ARG002
        """Say no: it is device memory."""
        return False

    def pin_memory(self, device: Any = None) -> torch.Tensor:  # noqa: ARG002
        """Refuse as torch does."""
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        del tensor_contents
        text = repr(host_copy(self.detach(), "repr"))
        tail = f", device='{self.device}'"
        if self.grad_fn is not None:
            tail += f", grad_fn=<{type(self.grad_fn).__name__}>"
        elif self.requires_grad:
            tail += ", requires_grad=True"
        return text[: text.rindex(")")] + tail + ")"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment."
            )
        made = self.detach().clone().requires_grad_(self.requires_grad)
        memo[id(self)] = made
        made.__dict__.update(copy.deepcopy(_extra(self), memo))
        if self.grad is not None:
            made.grad = copy.deepcopy(self.grad, memo)
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = host_copy(self.detach(), "pickle"), self.ordinal, self.requires_grad, _extra(self)
        return rebuild, state

    @property
    def data(self) -> Any:
        """The tensor without its history."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        data_of.__set__(self, value)
        self.raw, self.block, self.ordinal = value.raw, value.block, value.ordinal
        self.span_epoch = None


_OWN = frozenset({"raw", "block", "ordinal", "span_epoch"})


def _extra(tensor: SimTensor) -> dict[str, Any]:
    """Give the attributes that the program hung on a tensor."""
    return {key: value for key, value in tensor.__dict__.items() if key not in _OWN}


def rebuild(host: torch.Tensor, index: int, requires_grad: bool, extra: dict[str, Any]) -> Any:
    """Make a tensor again that was pickled."""
    made = host.to(device_of(index)).requires_grad_(requires_grad)
    made.__dict__.update(extra)
    return made


def host_copy(tensor: torch.Tensor, via: str) -> torch.Tensor:
    """Copy a tensor to pageable memory; the host waits."""
    return copies[0](tensor, via)


copies: list[Callable[[torch.Tensor, str], torch.Tensor]] = []
"""The blocking download: set once by ``copies``, which stands above this module."""


def queue_of(stream: Any) -> Queue:
    """Give the queue behind a stream object.

    Raises:
        TypeError: it is no stream of the simulated device.
    """
    if getattr(stream, "device_type", None) != 20 or not hasattr(stream, "stream_id"):  # noqa: PLR2004
        raise TypeError(f"expected a stream of {NAME}, not {type(stream).__name__}")
    return RT.queue_at(stream.device_index, stream.stream_id)


def wrap(real: torch.Tensor, block: Block | None, index: int) -> SimTensor:
    """Make the tensor that stands for a place in the arena."""
    offset = 0
    if block is not None:
        chunk = block.chunk
        start = (chunk.address - chunk.segment.address) // real.dtype.itemsize
        offset = int(real.storage_offset()) - start
    made: SimTensor = make_wrapper(
        SimTensor, real.shape, real.stride(), offset, dtype=real.dtype, device=device_of(index)
    )
    made.raw = real
    set_bits(made, real)
    made.block = block
    made.ordinal = index
    made.span_epoch = None
    return made


def empty(
    shape: Sequence[int], strides: Sequence[int], dtype: torch.dtype, queue: Queue
) -> SimTensor:
    """Allocate a tensor on a stream's device; the stream is the owner of its memory."""
    last = 0
    for size, stride in zip(shape, strides, strict=True):
        if size == 0:
            with torch.inference_mode(mode=False):
                real = torch.empty_strided(shape, strides, dtype=dtype, device="cpu")
            return wrap(real, None, queue.device)
        last += (size - 1) * stride
    block = RT.malloc((last + 1) * dtype.itemsize, queue)
    made: SimTensor = make_wrapper(
        SimTensor, shape, strides, 0, dtype=dtype, device=device_of(queue.device)
    )
    made.raw = block.view(dtype, shape, strides)
    made.block = block
    made.ordinal = queue.device
    made.span_epoch = None
    return made
