"""Files that are no trace, contradict the format, are damaged or hostile: one line each."""

import gzip
import io
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backports import zstd

from streamsan.traces import Trace, TraceError, load
from streamsan.traces.formats.container import MAX_LINE

HEADER = b'{"format":"streamsan-trace","version":1}\n'
MARK = b'{"op":"mark"}\n'
MIB = 1 << 20
GRAPH = b'{"op":"graph_capture","graph":"g","stream":"s","nodes":'


def refused(data: bytes) -> TraceError:
    """Give the error of bytes that cannot be loaded; it is one short line."""
    with pytest.raises(TraceError) as caught:
        load(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    return caught.value


class Endless(io.RawIOBase):
    """A file that is made while it is read, and never held."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        piece = self._rest or next(self._pieces, b"")
        given, self._rest = piece[:size], piece[size:]
        self.given += len(given)
        return given


def peak_of(source: bytes | Endless, reason: str, **options: int) -> int:
    """Give the peak of memory, in bytes, of a load that is refused for a reason."""
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=reason):
            load(source, **options)  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# What is no trace


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"gone\.jsonl: No such file or directory"):
        load(tmp_path / "gone.jsonl")
    with pytest.raises(TraceError, match="Is a directory"):
        load(tmp_path)
    with pytest.raises(TraceError, match="NUL"):
        load("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.jsonl"
    path.touch(0)

    with pytest.raises(TraceError, match="Permission denied"):
        load(path)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", None, "the file is empty"),
        (b"\n \n", None, "the file is empty"),
        (gzip.compress(b"", mtime=0), None, "the file is empty"),
        (
            gzip.compress(HEADER, mtime=0)[:5],
            None,
            "nothing can be read: the compressed stream ends early",
        ),
        (zstd.compress(HEADER)[:5], None, "nothing can be read"),
        (bytes(range(256)) * 9, None, "binary content"),
        (b"\x7fELF\x00\x01", None, "binary content"),
        (b"PK\x05\x06" + bytes(18), None, "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", None, "git-lfs pointer"),
        (b"hello\n", None, "not a JSON object"),
        ("Grüße".encode(), None, "not a JSON object"),
        (b"<html>", None, "not a JSON object"),
        (b"{}\n", 1, "no key 'format'"),
        (MARK, 1, "no streamsan header: this is an op"),
        (b'{"a": 1', 1, "no streamsan header"),
        (b'{"format":"other","version":1}', 1, "the format is 'other'"),
        (b'{"format":["streamsan-trace"],"version":1}', 1, "the format is"),
        (b'{"format":"streamsan-trace","version":2}', 1, "version 2 is not known"),
        (b'{"format":"streamsan-trace","version":true}', 1, "version True"),
        (b'{"format":"streamsan-trace"}', 1, "version None"),
        (HEADER[:-2] + b',"sites":[1]}', 1, r"sites\[0\]: expected array, got int"),
        (HEADER[:-2] + b',"complete":{"host":"no"}}', 1, "complete.host: expected bool"),
        (HEADER[:-2] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}", 1, "nests too deep"),
        (HEADER[:-2] + b',"x":' + b"[" * 10**5 + b"]" * 10**5 + b"}", 1, "no streamsan header"),
        (HEADER[:-2] + b',"gaps":[{"reason":"r","times":1,"op":7}]}', 1, "a gap names op 7"),
    ],
)
def test_what_is_no_trace_says_what_it_is(data: bytes, line: int | None, reason: str) -> None:
    error = refused(data)

    assert error.source == "-"
    assert error.line == line
    with pytest.raises(TraceError, match=reason):
        load(data)


# Contents against the format


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"op":"lunch","stream":"s"}', "unknown op 'lunch'; is it 'launch'?"),
        (b'{"op":"zzzzzz"}', "unknown op 'zzzzzz'"),
        (b'{"op":7}', "unknown op '7'"),
        (b'{"stream":"s"}', "the required key 'op' is missing"),
        (b"[]", "an op is an object"),
        (b"12", "an op is an object"),
        (b'{"op":"launch"}', "launch: the required key 'stream' is missing"),
        (b'{"op":"memcpy","stream":"s","src":"a","x":1}', "memcpy: the required key 'dst' is"),
        (b'{"op":"launch","stream":1.5}', "launch: stream: expected int | str, got float"),
        (b'{"op":"launch","stream":true}', "launch: stream: expected int | str, got bool"),
        (b'{"op":"launch","stream":"s","reads":"a"}', "launch: reads: expected array"),
        (b'{"op":"launch","stream":"s","reads":[["a",1]]}', "launch: reads[0]: expected array"),
        (b'{"op":"launch","stream":"s","reads":[["a",-1,4]]}', "offset and length must be 0"),
        (b'{"op":"launch","stream":"s","reads":["b",["a",1,-4]]}', "range [1, -4]"),
        (
            b'{"op":"launch","stream":"s","reads":[["a",0,' + b"9" * 40 + b"]]}",
            "offset and length must be 0",
        ),
        (b'{"op":"memset","stream":"s","dst":["b",60,8]}', "range [60, 8] is outside buffer 'b'"),
        (b'{"op":"host_read","buffer":{"buffer":"b","shape":[2],"strides":[4,4],"itemsize":4}}',
         "as many strides"),
        (b'{"op":"launch","stream":"s","writes":[{"buffer":"b","shape":[2]}]}',
         "writes[0]: the required key 'strides' is missing"),
        (b'{"op":"host_read","buffer":{"buffer":"b","shape":[2],"strides":[-9],"itemsize":4}}',
         "begins before its buffer"),
        (b'{"op":"malloc","buffer":"c","bytes":-1}', "malloc: bytes: expected int >= 0"),
        (b'{"op":"malloc","buffer":"c","space":"moon"}', "malloc: space: unknown value 'moon'"),
        (b'{"op":"stream_wait_value","stream":"s","addr":"v","value":' + b"9" * 30 + b"}",
         "value"),
        (b'{"op":"stream_wait_value","stream":"s","addr":"v","value":-9223372036854775808}',
         "out of range"),
        (b'{"op":"launch","stream":' + b"9" * 5000 + b"}", "integer value out of range"),
        (b'{"op":"mark","tag":{"a":1e999}}', "number out of range"),
        (b'{"op":"mark","t":1e3}', "mark: t: expected int | null, got float"),
        (b'{"op":"mark","site":0}', "site 0 is not in the header's 0 sites"),
        (b'{"op":"mark","tag":{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}}", "nests too deep"),
        (b'{"op":"mark","tag":{"a":' + b"[" * 200 + b"]" * 200 + b"}}", "nests too deep"),
        (b'{"op":"mark","x":' + b"[" * 200 + b"]" * 200 + b"}", "nests too deep"),
        (b'{"op":"event_create","event":"e","flags":' + b"[" * 200 + b"]" * 200 + b"}",
         "flags: nests too deep"),
        (GRAPH + b'[{"op":"mark"},{"op":"no"}]}', "nodes[1]: unknown op 'no'"),
        (GRAPH + b'[{"op":"memset"}]}', "nodes[0]: the required key 'dst' is missing"),
        (GRAPH + b'[{"op":"mark","after":[1]},{"op":"mark","after":[0]}]}', "in a circle"),
        (GRAPH + b'[{"op":"mark","after":[1]}]}', "indices of other nodes"),
        (b'{"op":"\\u001b[31m"}', "unknown op"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line(line: bytes, reason: str) -> None:
    error = refused(
        HEADER + b'{"op":"malloc","buffer":"b","bytes":64}\n' + MARK + line + b"\n" + MARK
    )

    assert reason in error.reason
    assert error.line == 4
    assert str(error).startswith("-:4: ")


def test_a_mistake_before_damage_is_a_mistake() -> None:
    assert refused(HEADER + b'{"op":"free"}\n{"op":').line == 2


# Damage


def damaged(data: bytes) -> Trace:
    trace = load(data)
    assert trace.damage is not None
    assert trace.damage.kept == len(trace)
    return trace


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "not JSON"),
        (b'{"op":"mark"', "not JSON"),
        (b'{"op":"mark"}{"op":"mark"}', "not JSON"),
        (b'{"op":"mark","t":NaN}', "not JSON"),
        (b'{"op":"lunch","t":Infinity}', "not JSON"),
        (b'{"op":"lunch","x":', "not JSON"),
        (b'{"op":"mark","name":"\xff"}', "not JSON"),
        (b'{"op":"mark","x":"\xff"}', "not JSON"),
        (b'{"op":"mark","name":"\\ud800"}', "not JSON"),
        (b"\0\0\0\0", "not JSON"),
        (b'{"op":"mark",\n"name":"two lines"}', "not JSON"),
        (b'{"op":"mark"}{"op":"mark",\n"name":"x"}', "not JSON"),
    ],
)
def test_reading_ends_at_a_line_that_is_not_json(line: bytes, reason: str) -> None:
    trace = damaged(HEADER + MARK * 2 + b"\n" + line + b"\n\n" + MARK * 3)

    assert trace.damage is not None
    assert reason in trace.damage.reason
    assert len(trace) == 2
    assert trace.damage.lost == 4 + line.count(b"\n")
    assert trace.damage.line == 5


def test_as_many_ops_as_lines_is_not_one_op_for_each_line() -> None:
    trace = damaged(HEADER + MARK + b'{"op":"mark"}{"op":"mark",\n"name":"x"}\n' + MARK)

    assert trace.damage is not None
    assert (len(trace), trace.damage.line, trace.damage.lost) == (1, 3, 3)


def test_a_cut_last_line_is_damage_and_a_whole_one_is_not() -> None:
    whole = HEADER + MARK * 2 + b'{"op":"free","buffer":"a"}'

    assert load(whole).damage is None
    for end in range(len(HEADER + MARK * 2) + 1, len(whole)):
        assert damaged(whole[:end]).damage == ("the last line is cut", 2, 1, 4)


def test_a_tail_that_is_no_text_is_lost_uncounted() -> None:
    trace = damaged(HEADER + MARK + b"\0\n" + bytes(MAX_LINE + 2 * MIB))

    assert len(trace) == 1
    assert trace.damage is not None
    assert trace.damage.lost is None


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_compressed_stream_that_ends_early_is_read_as_far_as_it_goes(
    pack: Callable[[bytes], bytes],
) -> None:
    marks = b"".join(b'{"op":"mark","name":"%d"}\n' % (i * i * 7919) for i in range(60_000))
    data = pack(HEADER + marks)

    trace = damaged(data[: len(data) // 2])

    assert trace.damage is not None
    assert trace.damage.reason.startswith("the compressed stream ends early")
    assert 10_000 < len(trace) < 50_000
    assert len(load(data)) == 60_000


def test_a_wrong_checksum_costs_nothing_but_the_word() -> None:
    data = bytearray(gzip.compress(HEADER + MARK * 3))
    data[-5] ^= 1

    trace = damaged(bytes(data))

    assert len(trace) == 3
    assert trace.damage is not None
    assert "corrupt" in trace.damage.reason


def test_what_follows_a_compressed_stream_is_damage() -> None:
    assert len(damaged(gzip.compress(HEADER + MARK * 3) + b"garbage")) == 3


# Hostile files


@pytest.mark.parametrize("first", [HEADER, b""])
def test_a_line_of_a_gigabyte_is_refused_early(first: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield first + b'{"op":"mark","name":"'
        for _ in range(1024):
            yield b"x" * MIB

    file = Endless(pieces())

    peak = peak_of(file, "longer than 64 MiB")

    assert file.given < MAX_LINE + 4 * MIB
    assert peak < 3 * MAX_LINE


def bomb(piece: bytes, count: int, head: bytes) -> bytes:
    """Compress a repeated piece without ever holding it."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(head) + b"".join(
        packer.compress(piece) for _ in range(count)
    ) + packer.flush()  # fmt: skip


def test_a_bomb_of_one_line_meets_the_limit_of_lines() -> None:
    data = bomb(b"x" * MIB, 256, HEADER)

    assert len(data) < MIB
    assert peak_of(data, "longer than 64 MiB") < 3 * MAX_LINE


def test_a_bomb_of_empty_lines_meets_the_limit_of_bytes() -> None:
    data = bomb(b"\n" * MIB, 64, HEADER)

    assert peak_of(data, "larger than 33554432 bytes", max_bytes=32 * MIB) < 30 * MIB
    assert len(load(data)) == 0


def test_a_bomb_of_nothing_but_zeros_is_binary() -> None:
    data = bomb(bytes(MIB), 256, b"")

    assert peak_of(data, "binary content") < 8 * MIB
