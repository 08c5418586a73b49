"""The tools that watch: nothing, the recorder in its modes, torch's own sanitizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamsan

RING = 50_000
NOTHING = "nothing"
RECORDER = "recorder"
SANITIZER = "torch.cuda._sanitizer"


@dataclass(frozen=True)
class Tool:
    """Something that watches a program.

    Args:
        name: what the tables call it.
        watch: gives a context in which it watches.
        rounds: times that a program is run under it.
    """

    name: str
    watch: Callable[[], AbstractContextManager[object]]
    rounds: int = 5


def nothing(device: str) -> Tool:
    """Give the tool that does not watch; the simulated device keeps no record then."""
    return Tool(NOTHING, nullcontext if device == "cuda" else lambda: _simulated(record=False))


def recorders(device: str, folder: Path) -> list[Tool]:
    """Give the recorder in its modes: as it is, with short stacks or none, with a ring."""
    return [
        _recorder(device, folder, RECORDER),
        _recorder(device, folder, f"{RECORDER}, stacks=8", stacks=8),
        _recorder(device, folder, f"{RECORDER}, stacks=0", stacks=0),
        _recorder(device, folder, f"{RECORDER}, ring={RING}", ring=RING),
    ]


def profiler(folder: Path) -> Tool:
    """Give the recorder with the profiler beside it. What that leaves behind may slow others."""
    return replace(_recorder("cuda", folder, f"{RECORDER}, profile=True", profile=True), rounds=1)


def _recorder(device: str, folder: Path, name: str, **options: Any) -> Tool:
    path = folder / "overhead.trace.jsonl"

    def watch() -> AbstractContextManager[object]:
        if device == "cuda":
            return streamsan.record(path, **options)
        return _simulated(record=True, path=path, options=options)

    return Tool(name, watch)


@contextmanager
def _simulated(
    *, record: bool, path: Path | None = None, options: dict[str, Any] | None = None
) -> Iterator[None]:
    from streamsan import sim

    with sim.session("timed", record=record):
        if path is None:
            yield
        else:
            with streamsan.record(path, **(options or {})):
                yield


class Sanitizer:
    """torch's own sanitizer. Its callbacks stay for the life of the process: make it last.

    ``errors`` are the races that it reports; so that it goes on, they are not raised.
    """

    def __init__(self) -> None:
        from torch.cuda._sanitizer import CUDASanitizerDispatchMode

        self.errors: list[str] = []
        self._mode: Any = CUDASanitizerDispatchMode()
        handler = self._mode.event_handler
        launch = handler._handle_kernel_launch  # noqa: SLF001

        def kept(*args: Any) -> list[Any]:
            self.errors += [type(error).__name__ for error in launch(*args)]
            return []

        vars(handler)["_handle_kernel_launch"] = kept

    def tool(self) -> Tool:
        """Give it as a tool."""
        return Tool(SANITIZER, lambda: self._mode)
