"""Python's garbage collector kept out of a run: what it frees would be an op somewhere in it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@cache
def _freeze() -> None:
    gc.collect()
    gc.freeze()  # what is there now need not be looked through before every run


def settle() -> None:
    """Free what an earlier run left: it would go somewhere in this one's record."""
    _freeze()
    gc.collect()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector out: an object that it frees would be an op at another place each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
