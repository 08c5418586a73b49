"""Memory of this process, and whether it stays as it is."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PAGE = resource.getpagesize()
GROWTH = 16.0
"""Megabytes by which a process may grow in the second half of a run: the allocator's own noise."""


def reading(path: Path) -> dict[str, Any]:
    """Give the resident memory and the size of a file, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "rss_mb": round(pages * _PAGE / 1e6, 1),
        "file_mb": round(path.stat().st_size / 1e6, 2),
    }


def flat(readings: Sequence[float]) -> bool:
    """Tell whether memory does not grow in the second half."""
    if not readings:
        return False
    return readings[-1] - readings[len(readings) // 2] < GROWTH
