"""``with streamsan.record("run.trace.jsonl"):``, the way in.

On a machine with a GPU the recorder of a real device watches torch; where the simulated device is
installed, its own record is written. Either way the file grows while the program runs.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from streamsan.traces.recorder import sources
from streamsan.traces.recorder.errors import RecordError
from streamsan.traces.recorder.growing import Growing
from streamsan.traces.recorder.journal import Journal, Output, SiteTable
from streamsan.traces.recorder.region import GrowingFile, header_bytes
from streamsan.traces.recorder.ring import Ring
from streamsan.traces.recorder.stacks import DEEPEST

if TYPE_CHECKING:
    from streamsan.traces.model import Trace
    from streamsan.traces.recorder.matching import Matched

_NOW: list[Recording] = []
_PACKED = (".gz", ".zst")


class Recording:
    """A recording in progress, and afterwards the file that it left. Made by ``record``."""

    def __init__(
        self, path: Path, watch: sources.Watch, ring: int | None, profiler: Any = None
    ) -> None:
        self.path = path
        self._watch = watch
        self._profiler = profiler
        self._process = os.getpid()
        self._journal: Journal | None = None
        self._ring = ring

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except RecordError as ours:
            if error is None:
                raise
            error.add_note(f"streamsan: {ours}")  # the program's own error goes first

    def start(self) -> None:
        """Begin.

        Raises:
            RecordError: another recording is in progress, or the file cannot be written.
        """
        if _NOW:
            raise RecordError(f"already recording to {_NOW[-1].path}: recordings do not nest")
        _NOW.append(self)
        try:
            sites = SiteTable(self._watch.text)
            self._journal = Journal(self._output(sites), sites)
            self._journal.start()
            if self._profiler is not None:
                self._profiler.start()
            self._watch.begin(self._journal)
        except BaseException:
            _NOW.remove(self)
            if self._journal is not None:
                self._journal.close()
            raise

    def _output(self, sites: SiteTable) -> Output:
        header = self._watch.header()
        if self._ring is not None:
            return Ring(self.path, header, sites, self._ring)
        return Growing(GrowingFile(self.path, header_bytes(header, [], [])), header, sites)

    def stop(self) -> None:
        """End: what was recorded is in the file. Calling it again does nothing.

        Raises:
            RecordError: something that was to be seen was not; the file says so as well.
        """
        if self not in _NOW or self._journal is None:
            return
        _NOW.remove(self)
        try:
            self._watch.end()
        finally:
            try:
                if self._profiler is not None:
                    self._profiler.stop()
            finally:
                self._close()
        if self._profiler is not None:
            self._profiler.check(self.path)

    def _close(self) -> None:
        journal, self._journal = self._journal, None
        if journal is None or os.getpid() != self._process:
            return
        try:
            journal.close()
        except OSError as error:
            raise RecordError(f"{self.path}: {error.strerror}") from None

    def abandon(self) -> None:
        """Watch no more and write nothing: in a child process, which has a copy of all this."""
        self._journal = None
        self._watch.end()

    @property
    def matched(self) -> Matched | None:
        """What the profiler saw of the device, once the recording is over; None without it."""
        return None if self._profiler is None else self._profiler.matched

    def trace(self) -> Trace:
        """Give the trace so far, or the whole of it afterwards.

        Raises:
            TraceError: the file was changed by somebody else.
        """
        from streamsan.traces.formats import load

        if self._journal is not None:
            self._journal.flush()
        return load(self.path)


def record(
    path: str | Path,
    *,
    stacks: bool | int = True,
    ring: int | None = None,
    profile: bool = False,
) -> Recording:
    """Record what the body does to streams, events and memory.

    ::

        with streamsan.record("run.trace.jsonl") as recording:
            step()
        findings = streamsan.check(recording.trace())

    Ops go to the file as they happen, so a process that is killed leaves a trace of what it did.

    Args:
        path: the trace, JSON Lines; a file that is there is replaced.
        stacks: how many frames of the calling stack to keep of each op; True for 24.
        ring: keep only the last so many ops, for long runs. The file is then written every ten
            seconds and at the end.
        profile: run under ``torch.profiler`` too, give ops their device times, and check that
            every activity of the device is an op: what is not makes the trace incomplete (SO902).

    Raises:
        RecordError: there is neither a CUDA device nor the simulated one; the file cannot be
            written. Starting the recording raises it where another one is in progress.
    """
    target = Path(path)
    if target.suffix in _PACKED:
        raise RecordError(f"{path}: recordings grow in place, so they are not compressed; "
                          "`streamsan convert` does that afterwards")  # fmt: skip
    if ring is not None and ring < 1:
        raise RecordError(f"ring={ring}: at least one op has to be kept")
    if profile and ring is not None:
        raise RecordError("profile=True needs the whole run: it does not go with ring=")
    deepest = DEEPEST if stacks is True else int(stacks)
    make = sources.registered()
    if make is not None:
        if profile:
            raise RecordError("the simulated device has no profiler: leave profile=True out")
        return Recording(target, make(deepest), ring)
    live = import_module("streamsan.traces.recorder.live.start")
    watch, profiler = live.make(deepest, profile)
    return Recording(target, watch, ring, profiler)


def _forked() -> None:
    """Forget the parent's recording: a forked child has neither its writer nor its file."""
    while _NOW:
        _NOW.pop().abandon()


os.register_at_fork(after_in_child=_forked)


def in_progress() -> Recording | None:
    """Give the recording in progress."""
    return _NOW[-1] if _NOW else None
