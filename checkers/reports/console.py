"""Standard output and standard error: what may go there, and how wide it is.

Names in a trace are untrusted: nothing of them reaches a terminal before ``visible`` saw it.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

PIPED_WIDTH = 100
LEAST_WIDTH, MOST_WIDTH = 40, 1000
LONGEST = 2000
"""Characters of one name or message: a longer one is no help to a reader."""


def visible(text: str, longest: int = LONGEST) -> str:
    r"""Escape what is not printable: ``\x1b``, newlines, marks that turn the writing direction."""
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def say(kind: str, message: str) -> None:
    """Write one line about the run itself to standard error."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"streamsan: {kind}: {visible(message)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens, and there is nowhere else to say it


def escape_what_the_encoding_lacks() -> None:
    """Let a name that the terminal's encoding lacks become an escape, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def emit(text: str) -> bool:
    """Write to standard output; false where it cannot be written.

    A reader that has gone away (``| head``) is no error.
    """
    if sys.stdout is None:
        return True
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        say("error", f"cannot write to standard output: {error.strerror or error}")
        return False
    return True


def _forget_stdout() -> None:
    """Keep the interpreter from flushing into the broken pipe once more at its end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


class _Page(io.StringIO):
    """Takes what standard output is to get, so that rich itself never meets a broken pipe."""

    def isatty(self) -> bool:
        return sys.stdout is not None and sys.stdout.isatty()


def make_console() -> Console:
    """Make rich's console for standard output: no markup, plain where colours are unwanted."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=_Page(),
        width=_width(),
        color_system=None if plain else "auto",
        force_jupyter=False,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
    )


def render(console: Console, lines: Iterable[Text]) -> str:
    """Give what ``make_console``'s console would print, without trailing blanks."""
    if console.color_system is None:  # the same, several times faster
        return "".join(line.plain.rstrip(" ") + "\n" for line in lines)
    for line in lines:
        console.print(line)
    page = cast("_Page", console.file)
    return "".join(line.rstrip(" ") + "\n" for line in page.getvalue().splitlines())


def _width() -> int | None:
    """Give the columns to use; None leaves it to the terminal."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isascii() and wanted.isdigit():
        return min(max(LEAST_WIDTH, int(wanted[:6])), MOST_WIDTH)
    if sys.stdout is not None and sys.stdout.isatty():
        return None
    return PIPED_WIDTH
