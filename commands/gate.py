"""``streamsan gate``: the one command for CI: new findings fail, known ones do not."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FAILED, STATUS, Command
from streamsan.commands.arguments import (
    add_allow_damaged,
    add_outputs,
    add_report,
    options_of,
    positive,
)

if TYPE_CHECKING:
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.run import Options

_WORDS = {CLEAN: "passed", FAILED: "failed: something could not be used"}


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Declare what every command takes that compares traces with a baseline."""
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, folders, globs; - for standard input")
    add("--baseline", metavar="FILE",
        help="the known findings (default: the configuration's)")  # fmt: skip
    add_report(parser)
    add("--jobs", type=positive, metavar="N", help="processes")
    add_allow_damaged(parser)


def _add(parser: argparse.ArgumentParser) -> None:
    add_paths(parser)
    add_outputs(parser)
    parser.add_argument("--strict", action="store_true",
                        help="rules that could not be judged fail, too")  # fmt: skip


def baseline_path(arguments: argparse.Namespace, policy: Policy) -> str | None:
    """Give the baseline that is asked for, or the configuration's; its path is the file's own."""
    if arguments.baseline is not None:
        return str(arguments.baseline)
    config = policy.config
    if config.baseline is None:
        return None
    import os

    whole = config.baseline if config.folder is None else str(config.folder / config.baseline)
    return os.path.relpath(whole)


def pass_or_fail(options: Options, path: str | None, *, strict: bool = False) -> int:
    """Lint, leave out what the baseline holds, and say in a last line whether that passes.

    Raises:
        UsageError: the baseline cannot be used, or a selection matches no rule.
    """
    from dataclasses import replace

    from streamsan.checkers.policy import baseline
    from streamsan.checkers.reports.console import say
    from streamsan.checkers.reports.run import run_lint

    known = None if path is None else baseline.read(path)
    status = run_lint(replace(options, baseline=known, strict=strict))
    say("gate", _WORDS.get(status, f"failed at severity {options.fail_on} or above"))
    return status


def _run(arguments: argparse.Namespace) -> int:
    options = options_of(arguments, arguments.paths)
    if options.policy is None:
        return FAILED
    path = baseline_path(arguments, options.policy)
    return pass_or_fail(options, path, strict=arguments.strict)


COMMAND = Command("check traces in CI, against a baseline", _add, _run, STATUS)
