"""``streamsan baseline write|check|prune``: the findings that were there from the start."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from streamsan.commands import CLEAN, FAILED, STATUS, Command
from streamsan.commands.arguments import options_of
from streamsan.commands.gate import add_paths, baseline_path, pass_or_fail
from streamsan.commands.output import write_text

if TYPE_CHECKING:
    from streamsan.checkers.policy.baseline import Baseline, Entry
    from streamsan.checkers.reports.run import Options

_ACTIONS = {
    "write": "take what is found now for known; reasons that stand in the file are kept",
    "check": "tell what is new, and what is gone; exit status 1 if something is new",
    "prune": "drop from the baseline what is no longer found",
}


def _add(parser: argparse.ArgumentParser) -> None:
    doors = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    for name, words in _ACTIONS.items():
        add_paths(doors.add_parser(name, help=words, description=words, allow_abbrev=False))


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.policy import baseline
    from streamsan.checkers.policy.policy import Policy

    options = options_of(arguments, arguments.paths)
    path = baseline_path(arguments, options.policy or Policy()) or baseline.DEFAULT
    if arguments.action == "check":
        return pass_or_fail(options, path)
    old = baseline.read(path) if arguments.action == "prune" else _former(path)
    now = _found(options)
    if now is None:
        return FAILED
    new = baseline.pruned(old, now) if arguments.action == "prune" else baseline.merged(old, now)
    if failed := write_text(baseline.render(new), path):
        return failed
    return _tell(path, old, new)


def _former(path: str) -> dict[str, Entry]:
    """Read the baseline that is to be replaced, for its reasons; none is no error."""
    from pathlib import Path

    from streamsan.checkers.policy import baseline
    from streamsan.checkers.policy.errors import PolicyError
    from streamsan.checkers.reports.console import say

    try:
        return baseline.read(path)
    except PolicyError as error:
        if Path(path).exists():
            say("warning", f"{error}; it is replaced, and its reasons are lost")
        return {}


def _found(options: Options) -> dict[str, Entry] | None:
    """Give what is found now; None where not every trace could be read whole."""
    from streamsan.checkers.policy.baseline import entries_of
    from streamsan.checkers.policy.judge import judge
    from streamsan.checkers.policy.policy import Policy
    from streamsan.checkers.reports.console import say
    from streamsan.checkers.reports.run import lint_paths, tell_failures

    outcomes = lint_paths(options)
    tell_failures(outcomes, options)
    bad = [o for o in outcomes if o.failed or (o.damage is not None and not options.allow_damaged)]
    if bad:
        say("error", "no baseline was written: not every trace could be read")
        return None
    judged = judge(outcomes, options.policy or Policy()).outcomes
    return entries_of(outcome.findings for outcome in judged)


def _tell(path: str, old: Baseline, new: Baseline) -> int:
    from streamsan.checkers.reports.console import emit, visible

    causes = "1 cause" if len(new) == 1 else f"{len(new)} causes"
    added, gone = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    written = emit(f"Wrote {visible(path)}: {causes} ({added} new, {gone} gone).\n")
    return CLEAN if written else FAILED


COMMAND = Command("keep a list of the findings that are known", _add, _run, STATUS)
