"""What the calls of ROCm say of copies that the copies themselves do not (HIP, by roctracer).

A HIP call carries its direction, its bytes (``bytes`` or ``size``, as text) and both addresses
(section 3 of the page on trace sources). The copy on the device often lacks its bytes, and one
from pinned host memory may stand there as within the device: then the call is right.
Nothing else of ROCm is read: rocprofiler's own JSON is refused with a reason.
"""

from __future__ import annotations

from typing import Any, Protocol

from streamsan.traces.formats.kineto_events import Args
from streamsan.traces.formats.kineto_names import Copy, empty

MAX_BYTES = 2**53
_UPLOAD, _DOWNLOAD = "1", "2"
"""hipMemcpyKind, as the call carries it; 3 is within the device, 4 leaves it to the addresses."""
_HEX = 16


class Call(Protocol):
    """A call by its name and arguments."""

    @property
    def name(self) -> str:
        """Such as ``hipMemcpyAsync``."""
        ...

    @property
    def args(self) -> Args:
        """As the file has them."""
        ...


def copied(copy: Copy, call: Call | None) -> Copy:
    """Say what a copy is, by its call where that says more. Host memory is taken as pinned."""
    if call is None or not call.name.startswith("hip"):
        return copy
    kind = str(call.args.kind)
    if kind == _UPLOAD and copy.kind == "D2D":
        return Copy("H2D", empty("pinned"), copy.dst)
    if kind == _DOWNLOAD and copy.kind == "D2D":
        return Copy("D2H", copy.src, empty("pinned"))
    return copy


def moved(work: Args, call: Args) -> dict[str, Any]:
    """Give what is known of a copy's or fill's bytes: their number, and their addresses."""
    found: dict[str, Any] = {}
    size = next((s for s in (work.bytes, call.bytes, call.size) if s is not None), None)
    if size is not None and 0 <= size <= MAX_BYTES:
        found["bytes"] = size
    for key, value in (("src_address", call.src), ("dst_address", call.dst)):
        address = _address(value)
        if address is not None:
            found[key] = address
    return found


def _address(value: int | str | None) -> int | None:
    try:
        number = int(value, _HEX) if isinstance(value, str) else value
    except ValueError:
        return None
    return number if number is not None and 0 < number < 1 << 62 else None
