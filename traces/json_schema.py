"""The JSON Schema of the trace, made from the reader's own types.

``python -m streamsan.traces.json_schema`` writes it to ``traces/schema/trace-v1.schema.json``, and
a test compares the two. It describes one line: the header, or an op.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from streamsan.traces import ops as o
from streamsan.traces.intern import MAX_SIZE

PATH = Path(__file__).parent / "schema" / "trace-v1.schema.json"
_REF = "#/$defs/{name}"


def schema() -> dict[str, Any]:
    """Give the schema of version 1."""
    (header, op), parts = msgspec.json.schema_components([o.Header, o.AnyOp], ref_template=_REF)
    parts = {name: _adapted(part) for name, part in parts.items()}
    parts["Header"]["required"] = ["format", "version"]
    _allow_node(parts["GraphCapture"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:streamsan:trace:v1",
        "title": "One line of a streamsan trace, version 1",
        "description": "Line 1 is the header, every other line that is not empty is one op. "
        "Unknown keys are kept and ignored.",
        "anyOf": [header, {"$ref": "#/$defs/Op"}],
        "$defs": {"Op": {"title": "Op", "description": "Any op.", **op}, **parts},
    }


def _adapted(part: Any) -> Any:
    """Allow unknown keys, and bound offset and length, which the builder checks."""
    if isinstance(part, list):
        return [_adapted(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {
        key: _adapted(value)
        for key, value in part.items()
        if not (key == "additionalProperties" and value is False)
    }
    if "prefixItems" in found:
        for item in found["prefixItems"]:
            if item == {"type": "integer"}:
                item |= {"minimum": 0, "maximum": MAX_SIZE}
    return found


def _allow_node(capture: dict[str, Any]) -> None:
    """Say that a node is an op which may name the nodes before it; it needs no stream."""
    after = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    keys = {"op": {"enum": sorted(o.WORDS)}, "after": after}
    node = {"type": "object", "required": ["op"], "properties": keys}
    for choice in capture["properties"]["nodes"]["anyOf"]:
        if choice.get("type") == "array":
            choice["items"] = node


def text() -> str:
    """Give the schema as the file holds it."""
    return json.dumps(schema(), indent=1, sort_keys=False) + "\n"


def main() -> None:
    """Write the schema into the package."""
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
