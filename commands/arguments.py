"""Arguments that several commands take, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsan.checkers.settings import Settings

_DIGITS = 9


def add_format(parser: argparse.ArgumentParser, forms: Sequence[str] = ("text", "json")) -> None:
    """Declare ``--format``; the first form is the default."""
    parser.add_argument("--format", choices=forms, default=forms[0],
                        help=f"(default {forms[0]})")  # fmt: skip


def add_allow_damaged(parser: argparse.ArgumentParser) -> None:
    """Declare ``--allow-damaged``."""
    parser.add_argument("--allow-damaged", action="store_true",
                        help="a damaged trace alone does not give exit status 2")  # fmt: skip


def add_report(parser: argparse.ArgumentParser) -> None:
    """Declare what every command that reports findings takes: rules, form, exit status."""
    add = parser.add_argument
    add_format(parser, ("text", "concise", "json"))
    add("--select", action="append", metavar="CODES",
        help="rules to run: codes or prefixes, with commas between them (default ALL)")  # fmt: skip
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add("--fail-on", choices=("error", "warning", "info"), default="error",
        help="the least severity that gives exit status 1 (default error)")  # fmt: skip
    add("--exit-zero", action="store_true", help="findings do not change the exit status")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Read the settings of a check from what ``add_report`` and ``lint`` declare."""
    from streamsan.checkers.settings import Settings

    return Settings(
        select=listed(arguments.select),
        ignore=listed(arguments.ignore),
        semantics=getattr(arguments, "semantics", "default"),
        every=getattr(arguments, "all", False),
    )


def listed(values: Sequence[str] | None) -> tuple[str, ...]:
    """Split what was given with commas, or several times."""
    parts = (part.strip() for value in values or () for part in value.split(","))
    return tuple(part for part in parts if part)


def policy(text: str) -> str:
    """Read ``random:7`` as ``random(7)``, which shells would want quoted."""
    name, colon, rest = text.partition(":")
    if not colon or "(" in name:
        return text
    return f"{name}({rest if name == 'replay' else rest.replace(':', ',')})"


def positive(text: str) -> int:
    """Read a number from 1 on."""
    if (value := natural(text)) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def natural(text: str) -> int:
    """Read a number from 0 on."""
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        raise argparse.ArgumentTypeError(f"not a number: {text[:40]!r}")
    return int(text)
