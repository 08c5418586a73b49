"""How a file of decisions is refused: one line with the file, the line and the reason."""

from __future__ import annotations

from collections.abc import Iterable

from streamsan.traces.errors import UsageError


class PolicyError(UsageError):
    """Raised where a configuration, a baseline or a comment cannot be used as it stands."""

    def __init__(self, source: str, line: int | None, reason: str) -> None:
        """Keep the parts; the message is made from them."""
        self.source = source
        self.line = line
        self.reason = " ".join(reason.split())[:400]
        where = source if line is None else f"{source}:{line}"
        super().__init__(f"{where}: {self.reason}")


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Say that a word is not known, and which known one is nearest."""
    from difflib import get_close_matches

    words = list(known)
    near = get_close_matches(given, words, 1, 0.5) or get_close_matches(
        given.replace("_", "-").lower(), words, 1, 0.5
    )
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(words)}"
    return f"unknown {what} {given[:60]!r}; {hint}"
