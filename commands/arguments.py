"""Arguments that several commands take, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.run import Options
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
    parser.add_argument("--format", choices=_kinds(), help="(default text)")
    add_rules(parser)


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Declare which rules run, what fails, and which configuration holds."""
    add = parser.add_argument
    add("--select", action="append", metavar="CODES",
        help="rules to run: codes or prefixes, with commas between them (default ALL)")  # fmt: skip
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add("--fail-on", choices=("error", "warning", "info"),
        help="the least severity that gives exit status 1 (default error)")  # fmt: skip
    add("--exit-zero", action="store_true", help="findings do not change the exit status")
    add("--config", metavar="FILE", help="the configuration, instead of the nearest one")
    add("--isolated", action="store_true", help="no configuration at all")


@cache
def _kinds() -> list[str]:
    """Name the kinds of reports: importing the package for that would load what linting needs."""
    folder = Path(__file__).parent.parent / "checkers" / "reports" / "kinds"
    return sorted((each.name for each in iter_modules([str(folder)])), key=lambda k: k != "text")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """Declare ``--output``, for commands that may write several reports."""
    parser.add_argument("--output", action="append", default=[], metavar="KIND=PATH",
                        help="write a report to a file, too; several times if need be")  # fmt: skip


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Read the settings of a check from what ``add_report`` and ``lint`` declare."""
    from streamsan.checkers.settings import Settings
    from streamsan.commands.hall.pricing import confirmed_and_priced, priced

    return Settings(
        select=listed(arguments.select),
        ignore=listed(arguments.ignore),
        semantics=getattr(arguments, "semantics", None) or "default",
        every=getattr(arguments, "all", False),
        unresolved_waits=getattr(arguments, "unresolved_waits", "order"),
        confirm=confirmed_and_priced if getattr(arguments, "witnesses", False) else priced,
    )


def policy_of(arguments: argparse.Namespace) -> Policy:
    """Read what holds: the configuration, and what the command line says.

    Raises:
        UsageError: the configuration cannot be used, or two options contradict each other.
    """
    from streamsan.checkers.policy.config import Config, load_config
    from streamsan.checkers.policy.policy import Policy
    from streamsan.traces.errors import UsageError

    if arguments.isolated and arguments.config is not None:
        raise UsageError("--isolated and --config contradict each other: give one of them")
    return Policy(
        config=Config() if arguments.isolated else load_config(arguments.config),
        base=settings_of(arguments),
        select=None if arguments.select is None else listed(arguments.select),
        ignore=None if arguments.ignore is None else listed(arguments.ignore),
        semantics=getattr(arguments, "semantics", None),
        fail_on=arguments.fail_on,
    )


def options_of(arguments: argparse.Namespace, paths: Sequence[str] = ()) -> Options:
    """Read what every command that reports findings takes.

    Raises:
        UsageError: the configuration cannot be used, or two options contradict each other.
    """
    from streamsan.checkers.reports.run import Options
    from streamsan.checkers.reports.write import read_outputs

    outputs = getattr(arguments, "output", None)
    streams = read_outputs(outputs if isinstance(outputs, list) else [], arguments.format)
    policy = policy_of(arguments)
    policy.check()
    return Options(
        paths=tuple(paths),
        settings=policy.settings(),
        form=streams.form,
        fail_on=policy.threshold,
        exit_zero=arguments.exit_zero,
        allow_damaged=getattr(arguments, "allow_damaged", False),
        statistics=getattr(arguments, "statistics", False),
        jobs=getattr(arguments, "jobs", None),
        policy=policy,
        outputs=streams.files,
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
