"""The CUDA runtime that torch has loaded, called without torch: a few of its functions."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_ADDRESS, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
_TYPES: dict[str, tuple[Any, ...]] = {
    "cudaMemcpy": (_ADDRESS, _ADDRESS, _SIZE, _INT),
    "cudaMemcpyAsync": (_ADDRESS, _ADDRESS, _SIZE, _INT, _ADDRESS),
    "cudaMemset": (_ADDRESS, _INT, _SIZE),
    "cudaMemsetAsync": (_ADDRESS, _INT, _SIZE, _ADDRESS),
    "cudaMalloc": (ctypes.POINTER(_ADDRESS), _SIZE),
    "cudaFree": (_ADDRESS,),
    "cudaHostAlloc": (ctypes.POINTER(_ADDRESS), _SIZE, ctypes.c_uint),
    "cudaFreeHost": (_ADDRESS,),
    "cudaStreamCreate": (ctypes.POINTER(_ADDRESS),),
}
"""Arguments of the functions; all of them give an error number."""
KINDS = {"H2H": 0, "H2D": 1, "D2H": 2, "D2D": 3}
"""The numbers of ``cudaMemcpyKind``."""


class RuntimeMissingError(Exception):
    """The CUDA runtime cannot be called from here."""


class Runtime:
    """Functions of the CUDA runtime; one that fails raises ``RuntimeError``.

    Raises:
        RuntimeMissingError: this process has none loaded.
    """

    def __init__(self) -> None:
        """Find the library that torch uses: another copy would have a state of its own."""
        self._library = _loaded()
        for name, types in _TYPES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = types, _INT

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function."""
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            self._library.cudaGetLastError()  # forgotten, or torch would find it at its next call
            raise RuntimeError(f"{name} gave CUDA error {status}")

    def made(self, name: str, *arguments: Any) -> int:
        """Call a function that gives an address or a handle through its first argument."""
        address = _ADDRESS()
        self.call(name, ctypes.byref(address), *arguments)
        return int(address.value or 0)


def _loaded() -> ctypes.CDLL:
    """Find the runtime among the process's libraries: by its symbols, else by its file."""
    everything = ctypes.CDLL(None)
    if hasattr(everything, "cudaMemcpyAsync"):
        return everything
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.split(maxsplit=5)[-1]
        if Path(path).name.startswith("libcudart"):
            return ctypes.CDLL(path)
    raise RuntimeMissingError("no CUDA runtime is loaded as a library of its own")
