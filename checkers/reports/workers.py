"""Many files at once, in several processes; one that dies costs the file it was at."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING

from streamsan.checkers.reports.outcome import Outcome, failure, internal, lint_file

if TYPE_CHECKING:
    from streamsan.checkers.reports.inputs import Input
    from streamsan.checkers.settings import Settings

AHEAD = 2
"""Files handed out for each process; so many are linted again, alone, where one process dies."""


def lint_in_processes(
    inputs: Sequence[Input], settings: Settings | Sequence[Settings], jobs: int
) -> Iterator[tuple[int, Outcome]]:
    """Give the outcome of each file as it comes, with the file's index.

    ``settings`` are one for all files, or one for each.
    """
    if not isinstance(settings, Sequence):
        settings = [settings] * len(inputs)
    waiting: deque[int] = deque()
    for i, given in enumerate(inputs):
        if given.path == "-":  # standard input is this process's own
            yield i, lint_file(given, settings[i])
        else:
            waiting.append(i)
    while waiting:
        lost: list[int] = []
        yield from _until_one_dies(inputs, settings, jobs, waiting, lost)
        for i in lost:
            yield i, _lint_alone(inputs[i], settings[i])


def _until_one_dies(
    inputs: Sequence[Input],
    settings: Sequence[Settings],
    jobs: int,
    waiting: deque[int],
    lost: list[int],
) -> Iterator[tuple[int, Outcome]]:
    """Work through ``waiting``; when a process dies, what was handed out is ``lost``."""
    running: dict[Future[Outcome], int] = {}
    with _pool(jobs) as pool:
        while running or (waiting and not lost):
            while waiting and not lost and len(running) < AHEAD * jobs:
                i = waiting.popleft()
                try:
                    running[pool.submit(lint_file, inputs[i], settings[i])] = i
                except BrokenProcessPool:
                    lost.append(i)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                i = running.pop(future)
                outcome = _result(future, inputs[i])
                if outcome is None:
                    lost.append(i)
                else:
                    yield i, outcome


def _lint_alone(given: Input, settings: Settings) -> Outcome:
    with _pool(1) as pool:
        outcome = _result(pool.submit(lint_file, given, settings), given)
    return outcome or failure(given, "the process that linted it died: out of memory?")


def _result(future: Future[Outcome], given: Input) -> Outcome | None:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return None
    return future.result() if error is None else failure(given, internal(error))


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start)


def _start() -> None:
    """Let Ctrl-C end a process without a traceback: the parent answers for it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
