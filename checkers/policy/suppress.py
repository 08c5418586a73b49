"""Suppressions: findings that somebody has looked at and accepted, with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache

from streamsan.checkers.finding import Finding
from streamsan.checkers.frames import Frame, parse


@dataclass(frozen=True, slots=True)
class Suppression:
    """One decision not to hear of something.

    All that is given must match; a pattern has ``*`` and ``?``.

    Args:
        where: the file and line it stands in.
        rules: codes or prefixes.
        reason: why; never empty.
        function: a pattern for a function on the stack of one of the accesses.
        file: a pattern for a file on such a stack.
        stream: a pattern for a line of the finding: a stream, ``host:T``, ``agent:A``.
        buffer: a pattern for the buffer.
        expires: the last day on which it holds.
    """

    where: str
    rules: tuple[str, ...]
    reason: str
    function: str | None = None
    file: str | None = None
    stream: str | None = None
    buffer: str | None = None
    expires: date | None = None

    def holds(self, today: date) -> bool:
        """Whether it has not expired."""
        return self.expires is None or today <= self.expires

    def matches(self, finding: Finding) -> bool:
        """Whether a finding is meant."""
        if not any(covers(code, finding.rule) for code in self.rules):
            return False
        if self.buffer is not None and not _match(self.buffer, [finding.buffer or ""]):
            return False
        if self.stream is not None and not _match(self.stream, finding.streams):
            return False
        if self.function is None and self.file is None:
            return True
        return any(self._is_at(frame) for frame in set(frames_of(finding)))

    def _is_at(self, frame: Frame) -> bool:
        """Whether file and function are those of one frame."""
        names = {frame.function, frame.function.rpartition(".")[2]}
        if self.function is not None and not _match(self.function, names):
            return False
        return self.file is None or _match(self.file, ends_of(frame.file))


def covers(prefix: str, code: str) -> bool:
    """Whether a code or prefix (``SO402``, ``SO4``, ``ALL``) names a rule."""
    return prefix.upper() == "ALL" or code.startswith(prefix.upper())


def _match(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


@lru_cache(1 << 12)
def ends_of(path: str) -> tuple[str, ...]:
    """Give a path and all its ends: ``a/b/c.py``, ``b/c.py``, ``c.py``."""
    parts = path.replace("\\", "/").split("/")
    return tuple("/".join(parts[i:]) for i in range(len(parts)))


def stacks_of(finding: Finding) -> Iterator[list[Frame]]:
    """Give the stack of each access, innermost frame first."""
    for access in finding.details.get("accesses") or ():
        yield [parse(str(frame)) for frame in access.get("stack") or ()]


def frames_of(finding: Finding) -> Iterator[Frame]:
    """Give every frame of every access."""
    for stack in stacks_of(finding):
        yield from stack
