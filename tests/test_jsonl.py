"""The native format: what is written is read again, to the last key."""

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from trace_tools import equal, op_of, traces

from streamsan.traces import Trace, TraceError, UsageError, load, save
from streamsan.traces import ops as o
from streamsan.traces.formats import container, formats
from streamsan.traces.model import Damage, Gap

STRIDED = (
    '{"op":"launch","stream":"s","reads":["b",{"buffer":"a","shape":[2],"strides":[8],'
    '"itemsize":4,"dtype":"f32"}]}'
)
HEADER = '{"format":"streamsan-trace","version":1}\n'


def text(trace: Trace) -> bytes:
    """Give a trace as its file."""
    native = next(formats())
    assert native.write is not None
    file = BytesIO()
    native.write(trace, file)
    return file.getvalue()


def lines(trace: Trace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(trace).splitlines()]


def of(*ops: str) -> Trace:
    return load((HEADER + "\n".join(ops)).encode())


@given(traces())
def test_what_is_written_is_read_again(trace: Trace) -> None:
    assert equal(load(text(trace)), trace)


@pytest.mark.parametrize("cls", o.OPS, ids=o.WORDS)
def test_every_kind_of_op_survives_with_all_its_keys(cls: type[o.OpBase]) -> None:
    @given(traces(op_of(cls)))
    def check(trace: Trace) -> None:
        again = load(text(trace))

        assert equal(again, trace)
        assert [op.fields() for op in again] == [op.fields() for op in trace]

    check()


def test_the_loaded_ops_say_what_the_lines_say() -> None:
    trace = of(
        '{"op":"malloc","buffer":"a","bytes":64,"space":"pinned"}',
        '{"op":"memcpy","stream":0,"src":["a",0,8],"dst":"b","async":false,"thread":"w"}',
    )

    assert trace[0].fields() == {
        "buffer": "a", "bytes": 64, "space": "pinned", "allocator": "plain",
    }  # fmt: skip
    assert trace[1].fields() == {
        "stream": "0", "src": ("a", 0, 8), "dst": "b", "async_": False, "thread": "w",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        '{"op":"memcpy","stream":"s","src":"a","dst":"b","async":false}',
        '{"op":"graph_launch","graph":"g","stream":"s","reads":[]}',
        '{"op":"launch","stream":"s","event":"e","new":{"a":[1,null]}}',
        STRIDED,
        '{"op":"host_read","buffer":{"buffer":"a","shape":[],"strides":[],"itemsize":4,"z":0}}',
        '{"op":"mark","name":"n","stream":"s","anything":[123456789012345678901234567890]}',
        '{"op":"collective","stream":"s","group":"g","ranks":[]}',
        '{"op":"mark","tag":{"big":123456789012345678901234567890,"f":0.1}}',
    ],
)
def test_a_line_comes_back_as_it_was(line: str) -> None:
    assert lines(of(line))[1] == json.loads(line)


def test_the_header_keeps_what_it_does_not_know() -> None:
    header = {
        "format": "streamsan-trace", "version": 1, "name": "n", "later": [1],
        "complete": {"host": False, "clocks": False}, "semantics": {"future": True},
        "versions": {"torch": "2"}, "world_size": 0,
    }  # fmt: skip

    trace = load(json.dumps(header).encode())

    assert lines(trace)[0] == header
    assert trace.header_extras["later"] == [1]
    assert not trace.header.complete.host


def test_damage_and_gaps_survive_conversion() -> None:
    source = HEADER.replace("1}", '1,"gaps":[{"reason":"r","times":2,"op":0}],"damage":'
                            '{"reason":"cut","kept":1,"lost":null,"line":3}}')  # fmt: skip
    trace = load((source + '{"op":"mark"}').encode())

    assert trace.gaps == (Gap("r", 2, 0),)
    assert trace.damage == Damage("cut", 1, None, 3)
    assert equal(load(text(trace)), trace)


def test_another_tool_may_use_the_key_gaps() -> None:
    trace = load(HEADER.replace("1}", '1,"gaps":"none"}').encode())

    assert trace.gaps == ()
    assert trace.header_extras == {"gaps": "none"}


def test_empty_lines_carriage_returns_and_a_byte_order_mark_are_no_ops() -> None:
    ops = '\n\n{"op":"mark"}\r\n \t\n{"op":"mark","name":"x"}\r\n\n'

    trace = load(b"\xef\xbb\xbf" + (HEADER + ops).encode())

    assert [op.name for op in trace] == ["mark", "x"]


def test_the_line_of_a_mistake_counts_empty_lines() -> None:
    with pytest.raises(TraceError) as caught:
        of("", '{"op":"mark"}', "", '{"op":"free"}')

    assert caught.value.line == 5


def test_the_line_is_right_far_down_in_a_large_file() -> None:
    ops = ['{"op":"malloc","buffer":"b","bytes":8}'] + ['{"op":"mark"}'] * 200_000
    ops[150_000] = '{"op":"launch","stream":"s","reads":[["b",4,8]]}'
    with pytest.raises(TraceError) as plain:
        of(*ops)
    with pytest.raises(TraceError) as spread:
        of("", *ops)

    assert plain.value.line == 150_002
    assert spread.value.line == 150_003
    assert "outside buffer 'b' of 8 bytes" in str(plain.value)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_compression_is_told_by_content(tmp_path: Path, suffix: str) -> None:
    trace = of('{"op":"launch","stream":"s","writes":["a"]}')
    path = tmp_path / f"x.trace.jsonl{suffix}"
    save(trace, path)
    first = path.read_bytes()
    hidden = path.rename(tmp_path / "hidden")

    assert equal(load(hidden), trace)
    save(trace, path)
    assert path.read_bytes() == first


def test_members_one_after_another_are_one_stream() -> None:
    parts = [HEADER.encode(), b'{"op":"mark"}\n', b'{"op":"mark"}\n']

    for pack in (gzip.compress, zstd.compress):
        assert len(load(b"".join(map(pack, parts)))) == 2
    assert len(load(gzip.compress(b"".join(parts)) + bytes(5000))) == 2


def test_standard_input_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = BytesIO(HEADER.encode() + b'{"op":"mark"}')

    monkeypatch.setattr("sys.stdin", Stdin)

    trace = load("-")

    assert (len(trace), trace.path) == (1, "-")


def test_zstd_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    data = zstd.compress(HEADER.encode())
    monkeypatch.setattr(container, "import_module", absent)

    with pytest.raises(TraceError, match=r"streamsan\[zstd\]"):
        load(data)


def test_a_name_that_no_format_has_is_wrong_usage(tmp_path: Path) -> None:
    trace = of()

    with pytest.raises(UsageError, match=r"x\.txt"):
        save(trace, tmp_path / "x.txt")
    with pytest.raises(UsageError, match="nothing"):
        save(trace, tmp_path / "x.jsonl", "nothing")
    with pytest.raises(TraceError, match="No such file"):
        save(trace, tmp_path / "nowhere" / "x.jsonl")
