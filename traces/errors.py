"""The errors of streamsan. A hazard is never one of them: hazards are findings."""

from __future__ import annotations


class StreamsanError(Exception):
    """Base of everything that streamsan raises on purpose. The command line exits with 2."""


class UsageError(StreamsanError):
    """Raised where the caller asked for something that does not exist."""


class TraceError(StreamsanError):
    """Raised by readers where a trace cannot be used at all.

    Args:
        source: the file, or a word for where the bytes came from.
        line: 1-based line, or None where the reason is about the whole file.
        reason: one line that says what is wrong.
    """

    def __init__(self, source: str, line: int | None, reason: str) -> None:
        """Keep the three parts; the message is made from them."""
        self.source = source
        self.line = line
        self.reason = " ".join(reason.split())[:400]
        where = source if line is None else f"{source}:{line}"
        super().__init__(f"{where}: {self.reason}")
