"""From the arguments of a command to files: folders, globs, standard input, each file once."""
# Paths are told back as the user wrote them, and pathlib would tidy them.
# ruff: noqa: PTH110, PTH112, PTH113, PTH116, PTH118, PTH207

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamsan.traces.errors import TraceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SUFFIXES = (".jsonl", ".json", ".npz")
"""What files in a folder may be traces; the formats' own suffixes come on top."""
PACKED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read.

    Args:
        path: as the user wrote it, or below a folder that the user wrote; ``-`` for standard input.
        folder: the folder it was found in; None where the user named the file itself.
        size: its bytes as stored, 0 where not known.
        execution: a PyTorch execution trace of the same run, to be joined to it.
    """

    path: str
    folder: str | None = None
    size: int = 0
    execution: str | None = None


def with_executions(inputs: Sequence[Input], executions: Sequence[str]) -> list[Input]:
    """Give each file its execution trace: as many as files, in the same order, or none.

    Raises:
        UsageError: there are more or fewer.
    """
    if not executions:
        return list(inputs)
    if len(executions) != len(inputs):
        raise UsageError(f"--with-et was given {len(executions)} times for {len(inputs)} traces: "
                         "each needs its own, in the same order")  # fmt: skip
    return [replace(one, execution=et) for one, et in zip(inputs, executions, strict=True)]


def find_inputs(arguments: Iterable[str]) -> tuple[list[Input], list[TraceError]]:
    """Give every file that the arguments name, each once, and what could not be found."""
    found: dict[object, Input] = {}
    missing: list[TraceError] = []
    for argument in arguments:
        try:
            for path, folder in _expand(argument, missing):
                identity, size = _identity(path)
                found.setdefault(identity, Input(path, folder, size))
        except TraceError as error:
            missing.append(error)
    return list(found.values()), missing


def _expand(argument: str, missing: list[TraceError]) -> Iterator[tuple[str, str | None]]:
    if argument == "-":
        yield argument, None
    elif os.path.isdir(argument):
        files = list(_walk(argument, missing))
        if not files:
            raise TraceError(argument, None, "no trace in this folder")
        yield from ((path, argument) for path in files)
    elif os.path.exists(argument):
        yield argument, None
    elif not glob.has_magic(argument) or "\0" in argument:
        raise TraceError(argument or "''", None, "no such file or folder")
    else:
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise TraceError(argument, None, "no file matches")
        for match in matches:
            if os.path.isdir(match):
                yield from ((path, match) for path in _walk(match, missing))
            else:
                yield match, None


def _walk(folder: str, missing: list[TraceError]) -> Iterator[str]:
    def closed(error: OSError) -> None:
        missing.append(TraceError(str(error.filename), None, error.strerror or str(error)))

    suffixes = _suffixes()
    for base, folders, files in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(base, name)
            if name.endswith(suffixes) and not name.startswith(".") and os.path.isfile(path):
                yield path


def _suffixes() -> tuple[str, ...]:
    from streamsan.traces.formats import formats

    plain = {*SUFFIXES, *(suffix for each in formats() for suffix in each.suffixes)}
    return tuple(sorted({suffix + packed for suffix in plain for packed in ("", *PACKED)}))


def _identity(path: str) -> tuple[object, int]:
    """Tell files apart by what they are, not by how they are written, and give the size."""
    if path == "-":
        return "-", 0
    try:
        status = os.stat(path)
    except OSError:
        return path, 0  # opening it will say what is wrong
    return (status.st_dev, status.st_ino), status.st_size
