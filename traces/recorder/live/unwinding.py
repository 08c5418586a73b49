"""Exceptions of Python that pass through torch's C++ code while device memory is freed.

Torch's GPU trace calls Python at each free, without putting a pending exception aside: Python then
replaces it by a ``SystemError``. So the platform tells of nothing from an op's failure to the next
op, and then the allocator is asked what was freed meanwhile. Non-reentrant checkpoints stop their
recomputation by an exception that no op raises; a recorded program's recompute to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.utils import checkpoint

from streamsan.traces.recorder.live.patches import Patches

if TYPE_CHECKING:
    from streamsan.traces.recorder.live.observer import Observer


def watch(patches: Patches) -> None:
    """Let checkpoints of the recorded program not stop early."""
    frame = getattr(checkpoint, "_CheckpointFrame", None)
    if frame is not None:
        patches.wrap(frame, "__init__", _to_the_end)


def _to_the_end(plain: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, recompute_fn: Any, early_stop: bool, *more: Any, **named: Any) -> None:
        del early_stop
        plain(self, recompute_fn, False, *more, **named)

    return init


class Unwinding:
    """Whether an op has failed, so that C++ may be unwinding with its exception pending."""

    def __init__(self, observer: Observer) -> None:
        self.muted = False
        self._observer = observer
        self._mute: Callable[[bool], None] | None = getattr(observer.platform, "mute", None)

    def begin(self) -> None:
        """Let the platform be silent: an op has failed."""
        if self._mute is not None:
            self.muted = True
            self._mute(True)

    def end(self) -> None:
        """Let the platform speak again, and catch up on what was freed."""
        if self.muted and self._mute is not None:
            self.muted = False
            self._mute(False)
            self._observer.blocks.catch_up()
