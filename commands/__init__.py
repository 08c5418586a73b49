"""The commands of ``streamsan``, one file each, found without registration.

A command is a module of this package that defines ``COMMAND``; its name is the module's. Modules
import at their top only what is cheap: every start of the tool imports them all. What a command
needs to work it imports when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

CLEAN, FOUND, FAILED = 0, 1, 2
STATUS = (
    "Exit status: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage or unusable input."
)


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        help: what it does, for the list of commands.
        add: declares its arguments.
        run: does it, and gives the exit status; raises StreamsanError for what the user can mend.
        epilog: the last line of its help.
    """

    help: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    epilog: str | None = None


def commands() -> Iterator[tuple[str, Command]]:
    """Give every command with its name, in the order of their names."""
    for name in sorted(each.name for each in iter_modules(__path__) if not each.ispkg):
        module = import_module(f"{__name__}.{name}")
        if isinstance(found := getattr(module, "COMMAND", None), Command):
            yield name, found
