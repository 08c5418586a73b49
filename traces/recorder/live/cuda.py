"""The real device: torch's CUDA, as the recorder asks it."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch.cuda import _gpu_trace

from streamsan import __version__
from streamsan.traces import ops as o
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.live import compiled
from streamsan.traces.recorder.live.callbacks import NAMES
from streamsan.traces.recorder.live.calls import elapsed, listening
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.platform import Callbacks, StreamFacts

C: Any = torch._C  # noqa: SLF001
_NONBLOCKING = 1


class Cuda:
    """CUDA by torch's own means, and the driver for what torch does not tell of a stream."""

    source = "torch-cuda"
    tells_memory = True
    pickles = False

    def __init__(self) -> None:
        cuda: Any = torch.cuda
        cuda.init()
        self._snapshot: Callable[[], Any] = cuda.memory_snapshot
        self.on_device: Callable[[torch.Tensor], bool] = attrgetter("is_cuda")
        self.pointer: Callable[[torch.Tensor], int] = C.TensorBase.data_ptr
        self.device_of: Callable[[torch.Tensor], int] = C.TensorBase.get_device
        self.current_stream: Callable[[int], int] = C._cuda_getCurrentRawStream  # noqa: SLF001
        self.current_device: Callable[[], int] = C._cuda_getDevice  # noqa: SLF001
        self.stream_types: Sequence[Any] = (torch.cuda.Stream,)
        self.event_types: Sequence[Any] = (torch.cuda.Event,)
        self.graph_types: Sequence[Any] = (torch.cuda.CUDAGraph,)
        self.tensor_types: Sequence[Any] = (torch.Tensor,)
        self._storage = C.TensorBase.untyped_storage
        self._driver = _driver()
        if self._driver is None:
            raise RecordError("libcuda.so.1 cannot be loaded, though torch sees a CUDA device")

    def is_pinned(self, tensor: torch.Tensor) -> bool:
        """Whether a CPU tensor's memory is pinned."""
        return bool(C.TensorBase.is_pinned(tensor))

    def host_pointer(self, tensor: torch.Tensor) -> int:
        """Give the address of a CPU tensor's storage."""
        return int(C.TensorBase.data_ptr(tensor)) - int(tensor.storage_offset()) * tensor.itemsize

    def storage_bytes(self, tensor: torch.Tensor) -> int:
        """Give the size of a tensor's storage."""
        return int(self._storage(tensor).nbytes())

    def stream_facts(self, device: int, handle: int) -> StreamFacts:
        """Ask the driver: a stream made by another library may be a blocking one."""
        del device
        flags, priority = ctypes.c_uint(), ctypes.c_int()
        stream = ctypes.c_void_p(handle)
        driver = self._driver
        if driver.cuStreamGetFlags(stream, ctypes.byref(flags)):
            return StreamFacts("nonblocking", None)
        driver.cuStreamGetPriority(stream, ctypes.byref(priority))
        blocking = not flags.value & _NONBLOCKING
        return StreamFacts("blocking" if blocking else "nonblocking", priority.value)

    def live_blocks(self) -> Mapping[int, tuple[int, int]]:
        """Ask the caching allocator for what is in use: address, size, owner stream."""
        found: dict[int, tuple[int, int]] = {}
        try:
            segments = self._snapshot()
        except RuntimeError:  # another allocator, which has no such list
            return found
        for segment in segments:
            address = segment["address"]
            for block in segment["blocks"]:
                at = block.get("address", address)
                if block["state"] == "active_allocated":
                    found[at] = block["size"], segment["stream"]
                address = at + block["size"]
        return found

    def listen(self, callbacks: Callbacks) -> Callable[[], None]:
        """Register with torch's GPU trace; its registries only grow, so one stub stays in each."""
        C._activate_gpu_trace()  # noqa: SLF001
        if not _STUBS:
            for name in NAMES:
                stub = _STUBS[name] = _Stub()
                getattr(_gpu_trace, f"register_callback_for_{name}")(stub)
        for name, stub in _STUBS.items():
            stub.target = getattr(callbacks, name)

        def end() -> None:
            for stub in _STUBS.values():
                stub.target = None

        return end

    def mute(self, silent: bool) -> None:
        """Let torch tell of nothing, or of everything again."""
        state = _trace_state()
        if state is not None:
            state.value = not silent

    def on_death(self, tensor: torch.Tensor, then: Callable[[], object]) -> None:
        """Call when the storage is gone: its Python object lives as long as it does."""
        weakref.finalize(self._storage(tensor), then).atexit = False

    def header(self) -> o.Header:
        """Give devices, versions and the rank."""
        rank, size = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
        return o.Header(
            source=self.source,
            devices=tuple(
                {"id": i, "name": torch.cuda.get_device_name(i)}
                for i in range(torch.cuda.device_count())
            ),
            versions={
                "torch": str(torch.__version__), "cuda": str(torch.version.cuda),
                "streamsan": __version__,
            },
            rank=int(rank) if rank.isdigit() else None,
            world_size=int(size) if size.isdigit() else None,
        )  # fmt: skip

    def extras(self, observer: Any) -> Callable[[], None]:
        """Watch launches of compiled kernels, and what only real events tell."""
        patches = Patches()
        patches.wrap(torch.cuda.Event, "elapsed_time", elapsed(observer))
        patches.wrap(torch.cuda, "synchronize", listening(observer))
        patches.wrap(torch.cuda.Stream, "synchronize", listening(observer))
        launches = compiled.watch(observer)

        def end() -> None:
            launches()
            patches.undo()

        return end


class _Stub:
    """A callback that stays registered, and passes on while a recording runs."""

    def __init__(self) -> None:
        self.target: Callable[..., None] | None = None

    def __call__(self, *args: Any) -> None:
        target = self.target
        if target is not None:
            target(*args)


_STUBS: dict[str, _Stub] = {}


@cache
def _trace_state() -> Any:
    """Give the flag by which torch's C++ asks whether there is a GPU trace; None if unknown."""
    library = Path(torch.__file__).parent / "lib" / "libc10.so"
    try:
        return ctypes.c_bool.in_dll(ctypes.CDLL(str(library)), "_ZN3c104impl8GPUTrace9haveStateE")
    except (OSError, ValueError):
        return None


def _driver() -> Any:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
