"""What commands that read one trace and write one file have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FAILED

if TYPE_CHECKING:
    from streamsan.traces import Trace


def write_text(text: str, path: str | None) -> int:
    """Write to a file, or to standard output where no path is given.

    Raises:
        TraceError: the file cannot be written.
    """
    from streamsan.checkers.reports.console import emit
    from streamsan.traces import TraceError

    if path is None:
        return CLEAN if emit(text) else FAILED
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
            file.write(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TraceError(path, None, reason) from None
    return CLEAN


def status_of(trace: Trace, path: str, allow_damaged: bool) -> int:
    """Say that a trace is damaged: what was made of it is not the whole of it."""
    from streamsan.checkers.reports.console import say

    if trace.damage is None:
        return CLEAN
    say("warning", f"{path}: damaged: {trace.damage.reason}; {trace.damage.kept} ops were read")
    return CLEAN if allow_damaged else FAILED
