"""A recording of a real device from its beginning to its end."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from streamsan.traces import ops as o
from streamsan.traces import recorder
from streamsan.traces.recorder import sink
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.journal import Journal
from streamsan.traces.recorder.live import calls, host_calls, unwinding
from streamsan.traces.recorder.live.callbacks import Guarded
from streamsan.traces.recorder.live.declared import Declared
from streamsan.traces.recorder.live.mode import Mode, skip_in_dynamo
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches
from streamsan.traces.recorder.live.platform import Platform
from streamsan.traces.recorder.live.threads import Threads
from streamsan.traces.recorder.stacks import Stacks

HIDDEN = (
    str(Path(torch.__file__).parent),
    str(Path(recorder.__file__).parent),
    contextlib.__file__,
    threading.__file__,
    weakref.__file__,
)
"""Where frames lie that no site shows: torch, this package, and what enters them."""


class Session:
    """Watches torch on a platform; the ``Watch`` of a recording.

    Args:
        platform: the device.
        deepest: frames to keep of a stack.
        hidden: more beginnings of file names that no site shows.
        profiled: whether a profiler runs, in whose ranges the ops are to be found.
    """

    def __init__(
        self,
        platform: Platform,
        deepest: int,
        hidden: tuple[str, ...] = (),
        *,
        profiled: bool = False,
    ) -> None:
        self._profiled = profiled
        self._platform = platform
        self._stacks = Stacks((*HIDDEN, *hidden), deepest)
        self._patches = Patches()
        self._followed = threading.local()
        self._endings: list[Any] = []
        self._observer: Observer | None = None
        self._guarded: Guarded | None = None
        self._sink: Declared | None = None
        self.text = self._stacks.text

    def header(self) -> o.Header:
        """Give what the header says of the machine."""
        return self._platform.header()

    def begin(self, journal: Journal) -> None:
        """Watch from now on."""
        self._followed.on = True  # this thread is, whatever is freed before its mode is entered
        observer = Observer(self._platform, self._stacks, journal.put, journal.gap)
        self._observer = observer
        observer.profiling = self._profiled
        guarded = self._guarded = Guarded(observer.events, self._is_followed, self._stray)
        skip_in_dynamo(self._patches)
        unwinding.watch(self._patches)
        end = self._platform.listen(guarded)
        self._endings.append(end)
        for kind in self._platform.tensor_types:
            host_calls.watch(observer, self._patches, kind)
        calls.watch(observer, self._patches)
        Threads(observer, self._entering).watch(self._patches)
        more = self._platform.extras(observer)
        if more is not None:
            self._endings.append(more)
        self._sink = Declared(observer)
        sink.begin(self._sink)
        entered = self._entering()
        entered.__enter__()
        self._endings.append(lambda: entered.__exit__(None, None, None))

    def _entering(self) -> contextlib.AbstractContextManager[object]:
        """Give a context in which the calling thread's ops are recorded."""
        return self._following()

    @contextlib.contextmanager
    def _following(self) -> Iterator[None]:
        if self._observer is None:
            yield  # the recording ended before the thread began
            return
        self._followed.on = True
        with Mode(self._observer, _PLAIN, self._profiled):
            yield

    def _is_followed(self) -> bool:
        observer = self._observer
        return getattr(self._followed, "on", False) or bool(observer and observer.hosts.backward)

    def _stray(self) -> None:
        """Tell of a thread whose ops are not seen: modes cannot be entered from outside."""
        if self._observer is not None:
            name = threading.current_thread().name
            self._observer.gap("accesses", f"thread {name} ran before the recording began")

    def end(self) -> None:
        """Watch no more.

        Raises:
            RecordError: a callback failed, so that ops are missing.
        """
        observer, guarded = self._observer, self._guarded
        if observer is None or guarded is None:
            return
        observer.unwinding.end()
        while self._endings:
            self._endings.pop()()
        guarded.listening = False
        observer.local.quiet += 1
        self._patches.undo()
        if self._sink is not None:
            sink.end(self._sink)
        self._observer = None
        observer.put = observer.journal_put = _drop
        if guarded.errors:
            observer.gap("sync", "a callback of the recorder failed")
            observer.gap("memory", "a callback of the recorder failed")
            first = guarded.errors[0]
            raise RecordError(
                f"a callback failed, the trace is not complete: {type(first).__name__}: {first}"
            ) from first


_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


def _drop(op: o.OpBase) -> None:
    """Take an op of a thread that still runs when the recording is over."""
