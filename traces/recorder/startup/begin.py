"""A recording that nobody in the program asked for: how it begins, and the ways it can end."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

from streamsan.traces.errors import StreamsanError
from streamsan.traces.recorder.record import Recording, record

_OWNER = "STREAMSAN_RECORD_OWNER"
FAILED = 2


def begin() -> None:
    """Begin as the environment says; the program does not run unrecorded where that fails."""
    environment = os.environ
    path = path_of(Path(environment["STREAMSAN_RECORD"]))
    ring = environment.get("STREAMSAN_RECORD_RING")
    try:
        if setup := environment.get("STREAMSAN_RECORD_SETUP"):
            module, _, function = setup.partition(":")
            getattr(import_module(module), function)()
        recording = record(
            path,
            stacks=int(environment.get("STREAMSAN_RECORD_STACKS") or 24),
            ring=int(ring) if ring else None,
            profile=environment.get("STREAMSAN_RECORD_PROFILE") == "1",
        )
        recording.start()
    except StreamsanError as error:
        _fail(error)
    end_with_the_process(recording)


def path_of(path: Path) -> Path:
    """Give this process a file of its own: the trace itself to the first."""
    owner, rank = os.environ.get(_OWNER), os.environ.get("RANK")
    os.environ.setdefault(_OWNER, str(os.getpid()))
    name = path.name.removesuffix(".trace.jsonl").removesuffix(".jsonl")
    if rank is not None and rank.isdigit():
        return path.with_name(f"{name}.rank{rank}.trace.jsonl")
    if owner is None or owner == str(os.getpid()):
        return path
    return path.with_name(f"{name}.{os.getpid()}.trace.jsonl")


def _fail(error: StreamsanError) -> NoReturn:
    sys.stderr.write(f"streamsan: error: {error}\n")
    sys.stderr.flush()
    os._exit(FAILED)  # whatever the program does with exceptions of `import torch`


def end_with_the_process(recording: Recording) -> None:
    """Stop the recording at the end of the process, and where it is asked to end."""

    def stop() -> None:
        try:
            recording.stop()
        except StreamsanError as error:
            sys.stderr.write(f"streamsan: error: {error}\n")

    atexit.register(stop)
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return  # the program, or what started it, has a way of its own

    def terminated(number: int, frame: FrameType | None) -> None:
        del frame
        stop()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminated)
