"""Whatever the bytes: loading gives a Trace or raises TraceError, nothing else, and soon."""

import gzip
import io
import random
import time
from collections.abc import Callable

import pytest
from backports import zstd

from streamsan.traces import Trace, TraceError, load
from streamsan.traces.formats.columnar import FORMAT
from streamsan.traces.ranges import intervals

SAMPLE = b"""{"format":"streamsan-trace","version":1,"complete":{"host":false},\
"sites":[["f.py:1 f"],["g.py:2 g","f.py:3 f"]],"rank":0,"later":{"x":[1]}}
{"op":"malloc","buffer":"h","space":"pinned","bytes":4096,"allocator":"caching_host"}
{"op":"malloc","buffer":"d","bytes":4096,"address":140000000,"stream":"s0","t":12,"t_end":19}
{"op":"host_write","buffer":["h",0,1024],"site":0,"thread":"loader"}
{"op":"memcpy","stream":"s0","src":["h",0,1024],"dst":["d",0,1024],"kind":"H2D","async":true}
{"op":"event_record","event":"e0","stream":"s0","device":0}
{"op":"stream_wait_event","stream":1,"event":"e0"}

{"op":"launch","stream":1,"name":"k","reads":[{"buffer":"d","shape":[4,8],"strides":[64,4],\
"itemsize":4}],"writes":["out"],"tag":{"iteration":1},"grid":[1,2,3]}
{"op":"graph_capture","graph":"g","stream":"s0","nodes":[{"op":"launch","stream":"s0"},\
{"op":"mark","after":[0]}]}
{"op":"graph_launch","graph":"g","stream":"0","reads":[]}
{"op":"collective","stream":"ptds","group":"dp","ranks":[0,1],"seq":3,"writes":["d"]}
{"op":"stream_write_value","addr":"v","value":1}
{"op":"slot_defer","slot":"f","source":["h",0,4]}
{"op":"stream_create","stream":"s9","flags":"blocking","priority":-1}
{"op":"free_async","buffer":"d","stream":"s0"}
{"op":"malloc_async","buffer":"d","stream":"s0","bytes":8}
"""
SECONDS = 5.0


def columnar(data: bytes) -> bytes:
    file = io.BytesIO()
    assert FORMAT.write is not None
    FORMAT.write(load(data), file)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "columnar": columnar,
}
TOKENS = [
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\0", b"\xff", b"-1", b"9" * 30, b"null",
    b"true", b"1e5", b"NaN", b'"op"', b'"launch"', b'"main"', b"\\u0000", b"[" * 300, b"{}", b"0",
]  # fmt: skip


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes, tokens or lines."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        place = rng.randrange(len(found) + 1)
        until = min(len(found), place + rng.choice([0, 1, 1, 2, 8, 60]))
        choice = rng.randrange(5)
        if choice == 0 and place < len(found):
            found[place] ^= 1 << rng.randrange(8)
        elif choice == 1:
            found[place:until] = rng.choice(TOKENS)
        elif choice == 2:
            found[place:until] = rng.randbytes(until - place)
        elif choice == 3:
            lines = bytes(found).split(b"\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], rng.choice([lines[i], b"", lines[j]])
            found = bytearray(b"\n".join(lines))
        else:
            del found[place:until]
    return bytes(found)


def use(trace: Trace) -> None:
    """Do what any rule would do with a trace."""
    for op in trace:
        op.fields()
        assert len(op.accesses) >= 0
        assert op.name is not None
        assert isinstance(op.stack, tuple)
    assert len(trace.streams.of_op) == len(trace)
    for view in trace.ranges.views:
        intervals(view)


def survive(packer: str, count: int, seed: int) -> tuple[int, int]:
    """Load mutations; give how many were traces and how many were refused."""
    data, rng = PACKERS[packer](SAMPLE), random.Random(seed)  # noqa: S311
    good = bad = 0
    for i in range(count):
        change = mutated(data, rng)
        begin = time.perf_counter()
        try:
            use(load(change))
            good += 1
        except TraceError as error:
            bad += "\n" not in str(error)
        except BaseException:
            print(f"seed {seed}, mutation {i}: {change!r}")  # noqa: T201
            raise
        assert time.perf_counter() - begin < SECONDS
    return good, bad


@pytest.mark.parametrize("packer", PACKERS)
def test_a_mutated_file_is_a_trace_or_an_error(packer: str) -> None:
    good, bad = survive(packer, 1500, 1)

    assert good + bad == 1500  # each error is one line
    assert bad > 50
    assert good > 5


@pytest.mark.fuzz_long
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("packer", PACKERS)
def test_many_mutated_files_are_traces_or_errors(packer: str, seed: int) -> None:
    assert sum(survive(packer, 20_000, seed)) == 20_000
