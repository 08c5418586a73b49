"""Methods put in the place of others for the time of a recording, and put back after it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_NONE = object()


class Patches:
    """What was replaced."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any, Any]] = []

    def wrap(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Any]) -> None:
        """Replace an attribute by what ``make`` makes of it; nothing where there is none."""
        plain = getattr(owner, name, None)
        if plain is None:
            return
        wrapped = functools.wraps(plain)(make(plain))
        self._before.append((owner, name, vars(owner).get(name, _NONE), wrapped))
        setattr(owner, name, wrapped)

    def undo(self) -> None:
        """Put everything back that is still ours."""
        for owner, name, before, ours in reversed(self._before):
            if vars(owner).get(name) is not ours:
                continue  # somebody has wrapped it since: ours stays inside, and does nothing more
            if before is _NONE:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._before.clear()
