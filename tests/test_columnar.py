"""The columnar form: the same trace, and no way for a hostile file to do harm."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from trace_tools import equal, traces

from streamsan.traces import Trace, TraceError, load, save
from streamsan.traces.formats.columnar import FORMAT

SOURCE = b"""{"format":"streamsan-trace","version":1,"sites":[["f.py:1 f"]]}
{"op":"malloc","buffer":"a","bytes":64,"stream":"s","address":"base"}
{"op":"launch","stream":"s","site":0,"writes":["a",{"buffer":"a","shape":[2],"strides":[8],\
"itemsize":4}],"tag":{"i":1},"new":[1]}
{"op":"memcpy","stream":"s","src":["a",0,8],"dst":"b","via":"item"}
{"op":"stream_wait_value","stream":"s","addr":"v","value":1,"t":5}
{"op":"graph_capture","graph":"g","stream":"s","nodes":[{"op":"launch","stream":"s"}]}
"""


def packed(trace: Trace) -> bytes:
    file = io.BytesIO()
    assert FORMAT.write is not None
    FORMAT.write(trace, file)
    return file.getvalue()


def changed(**members: bytes | None) -> bytes:
    """Give the sample's file with other members, by their names up to the dot."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed(load(SOURCE)))) as old,
        zipfile.ZipFile(file, "w") as new,
    ):
        for name in old.namelist():
            data = members.pop(name.split(".", maxsplit=1)[0].replace("-", "_"), old.read(name))
            if data is not None:
                new.writestr(name, data)
        for name, data in members.items():
            new.writestr(f"{name}.npy", data or b"")
    return file.getvalue()


def column(values: object, dtype: str) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array(values, dtype), version=(1, 0))
    return file.getvalue()


def claim(dtype: str, count: int) -> bytes:
    """Give the head of a column that says it has so many entries, and no entry."""
    file = io.BytesIO()
    head = {"descr": dtype, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, head)
    return file.getvalue()


@settings(max_examples=60)
@given(traces())
def test_what_is_written_is_read_again(trace: Trace) -> None:
    assert equal(load(packed(trace)), trace)


def test_there_and_back_loses_nothing(tmp_path: Path) -> None:
    trace = load(SOURCE)
    for name in ("a.npz", "b.trace.jsonl.zst", "c.npz.gz", "d.jsonl"):
        save(load(SOURCE) if name == "a.npz" else trace, tmp_path / name)
        trace = load(tmp_path / name)

    assert equal(trace, load(SOURCE))
    assert trace.buffers.size.tolist() == load(SOURCE).buffers.size.tolist()


def test_numpy_reads_the_columns(tmp_path: Path) -> None:
    save(load(SOURCE), tmp_path / "x.npz")

    with np.load(tmp_path / "x.npz", allow_pickle=False) as columns:
        assert columns["kind"].tolist() == load(SOURCE).kind.tolist()


def test_the_unchanged_sample_loads() -> None:
    assert equal(load(changed()), load(SOURCE))


@pytest.mark.parametrize("count", [10**15, 2**62, 10**30, 6])
def test_a_claim_of_entries_that_are_not_there_asks_for_no_memory(count: int) -> None:
    data = changed(kind=claim("|u1", count))
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match="cannot be") as caught:
            load(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "\n" not in str(caught.value)
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("kind", column([0, 0, 0, 0, 200], "|u1")),
        ("kind", column([0, 0, 0, 0, 0], "<i8")),
        ("kind", column([[0, 0, 0, 0, 0]], "|u1")),
        ("kind", column([0, 0, 0, 0, 0], "|u1")),
        ("kind", column([], "|u1")),
        ("kind", None),
        ("kind", b"\x93NUMPY\x01\x00\xff\xff{'descr': '|O'}"),
        ("kind", b""),
        ("bits", column([0xFFFF] * 5, "<u2")),
        ("bits", None),
        ("stream_name", column([99] * 5, "<i4")),
        ("stream_name", column([-2] * 5, "<i4")),
        ("stream_name", None),
        ("thread", column([-1] * 5, "<i4")),
        ("device", column([-1] * 5, "<i4")),
        ("obj", None),
        ("site", column([1] * 5, "<i4")),
        ("tag", column([7] * 5, "<i4")),
        ("t", column([2**62 + 1] * 5, "<i8")),
        ("number", None),
        ("number", column([-1, -(2**63), -(2**63), 1, -(2**63)], "<i8")),
        ("access_start", column([0, 0, 2, 9, 9, 9], "<i8")),
        ("access_start", column([0, 3, 2, 4, 4, 4], "<i8")),
        ("access_start", column([0, 0, 1, 4, 4, 4], "<i8")),
        ("access_start", column([0, 4], "<i8")),
        ("access_range", column([0, 1, 2, 99], "<i4")),
        ("access_range", column([0, 1, 2, -1], "<i4")),
        ("access_range", column([0], "<i4")),
        ("access_mode", column([1, 1, 0, 9], "|u1")),
        ("access_mode", column([1, 1, 1, 1], "|u1")),
        ("access_mode", column([1, 0, 0, 1], "|u1")),
        ("range_name", column([0, 0, 0, 77], "<i4")),
        ("range_name", column([0], "<i4")),
        ("range_offset", column([0, 0, -5, 0], "<i8")),
        ("range_offset", column([0, 4, 0, 0], "<i8")),
        ("range_length", column([-1, 12, 2**60, -1], "<i8")),
        ("range_strided", column([-1, 3, -1, -1], "<i4")),
        ("range_strided", column([-1, -1, 0, -1], "<i4")),
        ("streamsan_columns", b"{}"),
        ("streamsan_columns", b"[" * 100_000),
        ("streamsan_columns", b'{"header":{"format":"x"}}'),
    ],
)
def test_columns_that_contradict_each_other_are_refused(name: str, data: bytes | None) -> None:
    with pytest.raises(TraceError) as caught:
        load(changed(**{name: data}))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        {"names": ["main", "main"]},
        {"names": ["main"]},
        {"tags": [[1]]},
        {"tags": []},
        {"views": []},
        {"extras": {"9": {}}},
        {"extras": {"-1": {}}},
        {"extras": {"x": {}}},
        {"extras": {"0": {"address": []}}},
        {"extras": {"0": {"bytes": 1}}},
        {"extras": {"4": {"nodes": [{"op": "no"}]}}},
        {"extras": {"4": {"nodes": [{"op": "mark", "after": [5]}]}}},
    ],
)
def test_tables_that_contradict_the_columns_are_refused(table: dict[str, object]) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(load(SOURCE)))) as archive:
        good = msgspec.json.decode(archive.read("streamsan-columns.json"))

    with pytest.raises(TraceError):
        load(changed(streamsan_columns=msgspec.json.encode(good | table)))


def test_compressed_members_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("streamsan-columns.json", bytes(1 << 20))

    with pytest.raises(TraceError, match="compressed or encrypted"):
        load(file.getvalue())


def test_a_cut_file_is_one_line() -> None:
    data = packed(load(SOURCE))

    for end in range(60, len(data), 97):
        with pytest.raises(TraceError):
            load(data[:end])
