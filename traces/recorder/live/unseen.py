"""Calls whose transfer no dispatcher sees: ``torch.tensor`` on a device, ``tolist``.

They end below the dispatcher in a copy and a wait for its stream. Of the wait a callback tells,
before the copy is made; in the trace both are one op, the copy that waits (R39).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamsan.traces.recorder.live.observer import Observer


def transferring(
    observer: Observer, plain: Callable[..., Any], told: Callable[[Any], bool], *args: Any,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Make a call; the waits within it are those of the transfer that ``told`` records, if any.

    ``told`` is called with the result, if within the call no transfer was recorded.
    """
    local = observer.local
    before = local.copies
    local.moving += 1
    try:
        made = plain(*args, **kwargs)
    finally:
        local.moving -= 1
    if local.copies == before and told(made):
        local.syncs.clear()
    elif local.syncs and not local.moving:
        observer.tell_syncs(local)
    return made
