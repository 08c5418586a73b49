"""The published JSON Schema: what it is made from, and that it judges as the reader does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from trace_tools import OPS

from streamsan.traces import TraceError, load
from streamsan.traces import ops as o
from streamsan.traces.json_schema import PATH, schema, text

CASES = Path(__file__).parent / "cases"
HEADER = b'{"format":"streamsan-trace","version":1}\n'


@pytest.fixture(scope="module")
def validator() -> Any:
    published = json.loads(PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


def case_lines() -> Iterator[Any]:
    for path in sorted(CASES.rglob("*.trace.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


def test_the_committed_schema_is_that_of_the_types() -> None:
    assert PATH.read_text(encoding="utf-8") == text()


def test_every_op_is_described() -> None:
    parts = schema()["$defs"]

    for cls in o.OPS:
        assert parts[cls.__name__]["description"] == cls.__doc__
        assert "op" in parts[cls.__name__]["required"]
    assert len(parts["Op"]["anyOf"]) == len(o.OPS)


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")
def test_every_line_of_the_cases_is_valid(validator: Any) -> None:
    seen = list(case_lines())

    assert len(seen) > 100
    assert [line for line in seen if not validator.is_valid(line)] == []


@settings(max_examples=50)
@given(OPS)
def test_every_op_that_can_be_written_is_valid(validator: Any, op: o.OpBase) -> None:
    line = msgspec.json.decode(msgspec.json.encode(op))

    assert validator.is_valid(line)
    assert validator.is_valid(line | {"unknown": [1]})


@pytest.mark.parametrize(
    "line",
    [
        [],
        {},
        {"format": "streamsan-trace"},
        {"format": "other", "version": 1},
        {"format": "streamsan-trace", "version": 2},
        {"format": "streamsan-trace", "version": 1, "complete": {"host": 1}},
        {"format": "streamsan-trace", "version": 1, "sites": ["f.py:1"]},
        {"op": "lunch", "stream": "s"},
        {"op": "launch"},
        {"op": "launch", "stream": 1.5},
        {"op": "launch", "stream": "s", "reads": "a"},
        {"op": "launch", "stream": "s", "reads": [["a", -1, 4]]},
        {"op": "launch", "stream": "s", "reads": [["a", 1]]},
        {"op": "launch", "stream": "s", "reads": [{"buffer": "a", "shape": [1]}]},
        {"op": "memcpy", "stream": "s", "src": "a"},
        {"op": "memcpy", "stream": "s", "src": "a", "dst": "b", "kind": "X2Y"},
        {"op": "malloc", "buffer": "a", "bytes": -1},
        {"op": "malloc", "buffer": "a", "space": "moon"},
        {"op": "graph_capture", "graph": "g", "stream": "s", "nodes": [{"op": "nothing"}]},
        {"op": "stream_wait_value", "stream": "s", "addr": "v"},
        {"op": "mark", "device": -1},
        {"op": "mark", "tag": 3},
    ],
)
def test_schema_and_reader_refuse_the_same(validator: Any, line: Any) -> None:
    data = json.dumps(line).encode()

    assert not validator.is_valid(line)
    with pytest.raises(TraceError):
        load(data if "format" in line else HEADER + data)
