"""Suppressions in the code: ``# streamsan: ignore[SO402] reason``.

A comment holds for the statement that it stands on, or for the next one where it stands alone,
and for a finding where one of the accesses has a frame there. ``ignore[SO402, until 2027-01-31]``
makes it expire. Only files below the root are read: their names come from traces.
"""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from streamsan.checkers.finding import Finding
from streamsan.checkers.policy import values
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.policy.suppress import covers, frames_of

LONGEST = 4 << 20
"""Bytes of a source file that is still read."""
_ANY = re.compile(rb"streamsan:\s*ignore")
_COMMENT = re.compile(r"#\s*streamsan:\s*ignore\b\s*(?:\[(?P<inside>[^\]]*)\])?(?P<reason>.*)")
_UNTIL = re.compile(r"until\s+(.*)")


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment: it holds for the lines ``first`` to ``last`` of ``file``.

    ``wrong`` says why it cannot hold: a reason or a code is missing, say.
    """

    file: str
    line: int
    first: int
    last: int
    rules: tuple[str, ...] = ()
    reason: str = ""
    expires: date | None = None
    wrong: str | None = None

    @property
    def where(self) -> str:
        """The file and the line of the comment."""
        return f"{self.file}:{self.line}"

    def holds(self, today: date) -> bool:
        """Whether it is whole and has not expired."""
        return self.wrong is None and (self.expires is None or today <= self.expires)


class Comments:
    """The comments in the files that traces name."""

    def __init__(self, policy: Policy, files: Iterable[str]) -> None:
        """Read the files."""
        self._policy = policy
        named = {source for file in files if (source := policy.source_of(file))}
        self._by_file = {file: found for file in sorted(named) if (found := self._read(file))}

    def __iter__(self) -> Iterator[Comment]:
        """Go through all of them, by file and line."""
        for found in self._by_file.values():
            yield from found

    def on(self, finding: Finding) -> Iterator[Comment]:
        """Give the comments that a finding's frames stand on and that name its rule."""
        if not self._by_file:
            return
        for frame in dict.fromkeys(frames_of(finding)):
            for each in self._by_file.get(self._policy.source_of(frame.file) or "", ()):
                if (
                    each.wrong is None
                    and each.first <= frame.line <= each.last
                    and any(covers(code, finding.rule) for code in each.rules)
                ):
                    yield each

    def _read(self, file: str) -> list[Comment]:
        text = source_text(self._policy.root / file)
        if text is None or not _ANY.search(text):
            return []
        return list(comments_of(file, text.decode("utf-8", "replace")))


@lru_cache(256)
def source_text(path: Path) -> bytes | None:
    """Read a source file; None where it is no plain Python file of a sensible size."""
    try:
        status = path.stat()
        if path.suffix != ".py" or not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST:
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None


def comments_of(file: str, text: str) -> Iterator[Comment]:
    """Find the comments of one file."""
    statements = _statements(text)
    for line, alone, words in _comments(text):
        found = _COMMENT.search(words)
        if found is None:
            continue
        first, last = _meant(line, alone, statements)
        yield _comment(file, line, first, last, found["inside"], found["reason"])


def _comment(  # noqa: PLR0917
    file: str, line: int, first: int, last: int, inside: str | None, words: str
) -> Comment:
    reason = words.strip().lstrip("-:").strip()
    codes: list[str] = []
    expires: date | None = None
    wrong: str | None = None
    try:
        for part in filter(None, (each.strip() for each in (inside or "").split(","))):
            if until := _UNTIL.fullmatch(part):
                expires = values.day(until[1])
            else:
                codes.append(values.code(part))
    except ValueError as error:
        wrong = str(error)
    if not codes:
        wrong = wrong or "say which rules, as in ignore[SO402]"
    if not reason:
        wrong = wrong or "a reason is required behind the bracket"
    return Comment(file, line, first, last, tuple(codes), reason, expires, wrong)


def _comments(text: str) -> Iterator[tuple[int, bool, str]]:
    """Give line, whether it stands alone, and the words of each comment."""
    import tokenize

    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], not token.line[: token.start[1]].strip(), token.string
    except (tokenize.TokenError, SyntaxError):
        return  # what follows a broken line is not read


class _Statement(NamedTuple):
    """The lines of a statement; of one with a body, those of its head."""

    first: int
    last: int
    is_head: bool


def _statements(text: str) -> list[_Statement]:
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            last = node.end_lineno or node.lineno
            if isinstance(body, list):
                inner = getattr(body[0], "lineno", last + 1)
                last = max(node.lineno, inner - 1)
            found.append(_Statement(node.lineno, last, isinstance(body, list)))
    return sorted(found)


def _meant(line: int, alone: bool, statements: list[_Statement]) -> tuple[int, int]:
    """Give the lines of the statement that a comment on a line is about."""
    around = [
        each for each in statements
        if each.first <= line <= each.last and not (alone and each.is_head)
    ]  # fmt: skip
    if around:
        return max(around)[:2]
    if alone:
        later = [each for each in statements if each.first > line]
        return min(later)[:2] if later else (line, line)
    return line, line
