"""The ops of a trace as a recorder makes them: encoded without the keys that hold a default."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

from streamsan.traces import ops as o

T = TypeVar("T", bound=o.OpBase)
_LIGHT: dict[type[o.OpBase], type[o.OpBase]] = {}


def light(cls: type[T]) -> type[T]:
    """Give the subtype of an op's type that leaves defaults out of the file."""
    found = _LIGHT.get(cls)
    if found is None:
        made: Any = msgspec.defstruct(
            cls.__name__, [], bases=(cls,), omit_defaults=True, tag_field="op", kw_only=True,
            tag=str(cls.__struct_config__.tag), gc=False,
        )  # fmt: skip
        found = _LIGHT[cls] = _LIGHT[made] = made
    return cast("type[T]", found)


def lightened(op: o.OpBase) -> o.OpBase:
    """Give an op as one of those subtypes."""
    cls = type(op)
    if _LIGHT.get(cls) is cls:
        return op
    return light(cls)(**{name: getattr(op, name) for name in cls.__struct_fields__})


Launch = light(o.Launch)
Memcpy = light(o.Memcpy)
Malloc = light(o.Malloc)
Free = light(o.Free)
EventRecord = light(o.EventRecord)
NO_EVENT = ""
"""The event of a record that turned out to be none, while it waits to be written."""
EventDestroy = light(o.EventDestroy)
StreamWaitEvent = light(o.StreamWaitEvent)
StreamCreate = light(o.StreamCreate)
HostRead = light(o.HostRead)
HostWrite = light(o.HostWrite)
HostEscape = light(o.HostEscape)
