"""What cannot be simulated: each call says so in one sentence, with what to do instead."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

import torch
from torch.nn.parallel import comm

from streamsan.sim.device.errors import UnsupportedError

_GRAPHS = "run the captured code eagerly, without a graph"
_KERNELS = "write the kernel in torch ops, or describe it by streamsan.sim.kernel"
_RUNTIME = "use the names of torch.cuda, or record the program on a GPU"
_MEMORY = "use torch's caching allocator"
_NO_CHIP = "there is no hardware to ask; leave the call out"
_NCCL = "use the gloo backend on CPU tensors, or record the program on a GPU"
_ONE = "use one device (--devices 1)"

_CLASSES = {
    "CUDAGraph": _GRAPHS, "graph": _GRAPHS, "MemPool": _MEMORY, "CUDAPluggableAllocator": _MEMORY,
    "ExternalStream": "make the stream by torch.cuda.Stream", "GreenContext": _RUNTIME,
}  # fmt: skip
_CALLS = {
    "make_graphed_callables": _GRAPHS, "graph_pool_handle": _GRAPHS,
    "cudart": _RUNTIME, "check_error": _RUNTIME, "current_blas_handle": _RUNTIME,
    "current_solver_handle": _RUNTIME,
    "get_stream_from_external": "make the stream by torch.cuda.Stream",
    "caching_allocator_alloc": _MEMORY, "caching_allocator_delete": _MEMORY,
    "change_current_allocator": _MEMORY, "use_mem_pool": _MEMORY, "memory_snapshot": _MEMORY,
    "utilization": _NO_CHIP, "temperature": _NO_CHIP, "power_draw": _NO_CHIP,
    "clock_rate": _NO_CHIP, "memory_usage": _NO_CHIP, "device_memory_used": _NO_CHIP,
    "_compile_kernel": _KERNELS,
}  # fmt: skip
_INNER = {
    "memory": {"_record_memory_history": _MEMORY, "_snapshot": _MEMORY, "_dump_snapshot": _MEMORY},
    "nccl": dict.fromkeys(
        ("all_reduce", "reduce", "broadcast", "all_gather", "reduce_scatter", "version",
         "unique_id", "init_rank"), _NCCL),
    "jiterator": dict.fromkeys(
        ("_create_jit_fn", "_create_multi_output_jit_fn"), _KERNELS),
}  # fmt: skip
_PARALLEL = (
    "broadcast", "broadcast_coalesced", "reduce_add", "reduce_add_coalesced", "scatter", "gather",
)  # fmt: skip


def refuse_all() -> None:
    """Put a refusal in the place of every such name."""
    for name, instead in _CLASSES.items():
        _refuse(torch.cuda, name, refusing_class(f"torch.cuda.{name}", instead))
    for name, instead in _CALLS.items():
        _refuse(torch.cuda, name, refusing(f"torch.cuda.{name}", instead))
    for inner, names in _INNER.items():
        owner = getattr(torch.cuda, inner, None)
        for name, instead in names.items():
            _refuse(owner, name, refusing(f"torch.cuda.{inner}.{name}", instead))
    for name in _PARALLEL:
        _refuse(comm, name, refusing(f"torch.nn.DataParallel on several devices ({name})", _ONE))
    for name in ("CUDAGraph", "graph", "make_graphed_callables"):
        _refuse(torch.cuda.graphs, name, getattr(torch.cuda, name))
    sys.meta_path.insert(0, _Finder())
    for name, change in _LATE.items():
        if name in sys.modules:
            change(sys.modules[name])


def _refuse(owner: Any, name: str, value: Any) -> None:
    plain = getattr(owner, name, None)
    if plain is None:
        return
    if not isinstance(value, type):
        functools.update_wrapper(value, plain)  # torch's compiler looks for what it wraps
    setattr(owner, name, value)


def refusing(call: str, instead: str) -> Callable[..., NoReturn]:
    """Make a function that refuses."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        del args, kwargs
        raise UnsupportedError(call, instead)

    return refuse


def refusing_class(call: str, instead: str) -> type:
    """Make a class that refuses to be instantiated, and still serves ``isinstance``."""

    def new(cls: type, *args: Any, **kwargs: Any) -> NoReturn:
        del cls, args, kwargs
        raise UnsupportedError(call, instead)

    return type(call.rpartition(".")[2], (), {"__new__": new})


def _refuse_nccl(module: ModuleType) -> None:
    """Let ``init_process_group`` refuse NCCL, asked for by name or meant by default."""
    plain: Any = getattr(module, "init_process_group", None)
    if plain is None:
        return

    @functools.wraps(plain)
    def init(backend: Any = None, *args: Any, **kwargs: Any) -> Any:
        if backend is None or "nccl" in str(backend).lower():
            shown = "" if backend is None else f"backend={str(backend)!r}"
            raise UnsupportedError(f"torch.distributed.init_process_group({shown})", _NCCL)
        return plain(backend, *args, **kwargs)

    _refuse(module, "init_process_group", init)


def _refuse_inline(module: ModuleType) -> None:
    """Let the extension builder refuse CUDA sources; C++ ones are no business of ours."""

    def guard(name: str, told: Callable[[tuple[Any, ...], dict[str, Any]], bool]) -> None:
        plain: Any = getattr(module, name, None)

        def build(*args: Any, **kwargs: Any) -> Any:
            if told(args, kwargs):
                raise UnsupportedError(f"torch.utils.cpp_extension.{name} of CUDA code", _KERNELS)
            return plain(*args, **kwargs)

        _refuse(module, name, functools.wraps(plain)(build) if plain else None)

    guard("load_inline", lambda a, k: bool(k.get("cuda_sources") or a[2:3] not in ((), (None,))))
    guard("load", lambda a, k: _has_cuda(k.get("sources") or a[1:2]))
    guard("CUDAExtension", lambda _a, _k: True)


def _has_cuda(sources: Any) -> bool:
    if isinstance(sources, Sequence) and not isinstance(sources, str):
        return any(map(_has_cuda, sources))
    return str(sources).endswith((".cu", ".cuh"))


def _refuse_triton(module: ModuleType) -> None:
    """Let launches of Triton kernels refuse."""
    kernel: Any = getattr(module, "JITFunction", None)
    if kernel is not None:
        kernel.run = refusing("launches of Triton kernels", _KERNELS)


_LATE: dict[str, Callable[[ModuleType], None]] = {
    "torch.distributed": _refuse_nccl,
    "torch.distributed.distributed_c10d": _refuse_nccl,
    "torch.utils.cpp_extension": _refuse_inline,
    "triton.runtime.jit": _refuse_triton,
}
"""Modules that a program may import later: what is done to each then."""


class _Finder(MetaPathFinder):
    """Finds the modules of ``_LATE`` as Python does, and changes them after their import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give the spec that the other finders give, with a loader around its own."""
        if fullname not in _LATE:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(fullname, path, target)
            if found is not None:
                if found.loader is not None:
                    found.loader = _Loader(found.loader, _LATE[fullname])
                return found
        return None


class _Loader(Loader):
    """Loads a module by another loader, then changes it."""

    def __init__(self, plain: Loader, change: Callable[[ModuleType], None]) -> None:
        self._plain = plain
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the other loader."""
        return self._plain.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then change it."""
        self._plain.exec_module(module)
        self._change(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)
