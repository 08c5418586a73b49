"""The mini-language: what it says, that it loses nothing, and that no input breaks it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import random_trace, traces
from trace_tools import equal
from trace_tools import traces as any_traces

from streamsan.traces import Trace, TraceError
from streamsan.traces import ops as o
from streamsan.traces.build import TraceBuilder, from_ops
from streamsan.traces.text import SHORT, format_trace, parse
from streamsan.traces.text_values import SHAPES

TOUR = """\
#! name tour
#! semantics cuda_free_synchronizes=false
#! complete memory=false
#! sites [["a.py:1 f"],["b.py:2 g","a.py:1 f"]]

# a pinned buffer, and a copy that nobody waits for
stream_create b blocking priority=-1
malloc h pinned 64 caching_host stream=s1 address=A offset=8
s1: launch fill w=a r=b[0:100],c[8 shape=4,2 strides=64,4 itemsize=4]
s1: memcpy a -> h[0:64] D2H via=item; s1: record e; s2: wait e
s2: memset a sync
sync e
T2: host_read h agent=nic
T2/s1: launch use rw=a site=1 t=5 tag={"it": 1}
0@1: launch k w=b
stream_synchronize 0@1; device_synchronize 1; query e not_ready
store x 1; T2: store x 2; s1: wait_value x 1
slot_defer f h; slot_resolve f h[0:4] 3; slot_read f 3
s1: collective g ranks=0,"1" seq=4 rank="r 1"
mark "view of" +anything={"a": [1, 2]}
s1: graph_capture g nodes=[{"op":"launch","stream":"s","after":[]}]
s1: graph_launch g r= w=h
"""


def says(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Give the ops of a text by word and fields."""
    return [(op.word, op.fields()) for op in parse(text)]


def one(text: str) -> dict[str, Any]:
    """Give the fields of the one op of a text."""
    [(_, fields)] = says(text)
    return fields


def test_the_tour_is_read() -> None:
    trace = parse(TOUR)

    assert trace.header.name == "tour"
    assert trace.header.semantics == o.Semantics(cuda_free_synchronizes=False)
    assert trace.header.complete == o.Complete(memory=False)
    assert len(trace.header.sites) == 2
    words = [op.word for op in trace]
    assert words[:5] == ["stream_create", "malloc", "launch", "memcpy", "event_record"]
    assert trace[9].fields() == {
        "stream": "s1", "name": "use", "thread": "T2", "reads": ("a",), "writes": ("a",),
        "site": 1, "t": 5, "tag": {"it": 1},
    }  # fmt: skip
    assert trace[len(trace) - 1].extras == {"reads": ()}


def test_the_tour_comes_back_as_it_was() -> None:
    trace = parse(TOUR)

    assert equal(parse(format_trace(trace)), trace)
    assert format_trace(parse(format_trace(trace))) == format_trace(trace)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("s: launch", {"stream": "s"}),
        ("T/s@2: launch k", {"stream": "s", "thread": "T", "device": 2, "name": "k"}),
        ('"a b"/"0:x": launch "k;#"', {"stream": "0:x", "thread": "a b", "name": "k;#"}),
        ("launch stream=s", {"stream": "s"}),
        ("s: memset a[2:4]", {"stream": "s", "dst": ("a", 2, 2), "async_": True}),
        ("s: memset a[:4] sync", {"stream": "s", "dst": ("a", 0, 4), "async_": False}),
        ("malloc pinned pinned 8", {"buffer": "pinned", "bytes": 8, "space": "pinned",
                                    "allocator": "plain"}),
        ("malloc a address=16", {"buffer": "a", "space": "device", "allocator": "plain",
                                 "address": 16}),
        ('malloc a address="16"', {"buffer": "a", "space": "device", "allocator": "plain",
                                   "address": "16"}),
        ("T: store x -1", {"addr": "x", "value": -1, "thread": "T"}),
        ("event_create e flags=blocking", {"event": "e", "flags": "blocking"}),
        ('event_create e flags="3"', {"event": "e", "flags": "3"}),
        ("event_create e flags=3", {"event": "e", "flags": 3}),
        ("record_stream a s", {"buffer": "a", "stream": "s"}),
        ("s: host_func f signals=k,l awaits=m", {"stream": "s", "name": "f",
                                                 "signals": ("k", "l"), "awaits": ("m",)}),
        ("region_begin step", {"name": "step"}),
        ("s: launch r=  # nothing", {"stream": "s"}),
    ],
)  # fmt: skip
def test_one_op(text: str, fields: dict[str, Any]) -> None:
    assert one(text) == fields


def test_short_words_mean_the_long_ones() -> None:
    for short, word in SHORT.items():
        shape = SHAPES[word]
        operands = {"value": "1", "src": "a", "dst": "b"}
        on_stream = "s: " if shape.on_stream and short != "store" else ""
        rest = " ".join(operands.get(field, "n") for field in shape.needs)
        assert says(f"{on_stream}{short} {rest}") == says(f"{on_stream}{word} {rest}")


def test_white_space_and_arrows_are_free() -> None:
    plain = says("s: memcpy a -> b")

    assert says("  s :  memcpy\ta->b") == says("s:memcpy a → b;;") == says("s: memcpy a b") == plain


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\ns: lunch k", 2, "unknown op 'lunch'; did you mean 'launch'?"),
        ("s: wait e\nlaunch k", 2, "launch runs on a stream: STREAM: launch ..."),
        ("s: launch r=a[", 1, "a bracket is never closed"),
        ("s: launch r=a]", 1, "']' closes nothing"),
        ('s: launch "k', 1, "a quote is never closed"),
        ("malloc a pined", 1, "malloc: what is 'pined'; did you mean 'pinned'?"),
        ("s: launch k wirtes=a", 1, "launch has no key 'wirtes'; did you mean 'writes'?"),
        ("s: wait", 1, "stream_wait_event needs its event"),
        ("s:", 1, "a line without an op"),
        ("s: memcpy a -> b -> c", 1, "an arrow stands between the two ranges of a memcpy"),
        ("s: launch r=a[4:2]", 1, "range 'a[4:2]' ends before it begins"),
        ("s: launch r=a[4]", 1, "range [4] is neither start:stop nor a view: no shape"),
        ("s: launch r=a r=b", 1, "launch has its reads twice"),
        ("s: launch +stream=1", 1, "stream is a key of the format, or stands here twice: no +"),
        ("T/s: host_read a", 1, "host_read is an op of a host thread: THREAD: host_read"),
        ("s: launch\n\ns: host_read a", 3, "'s' stands before a host op, so it is a thread"),
        ("malloc a 4\ns: launch w=a[0:8]", 2, "range [0, 8] is outside buffer 'a' of 4 bytes"),
        ("s: memset a; s: record e site=3", 1, "site 3 is not in the header's 0 sites"),
        ("#! semantics fast=true", 1, "unknown switch 'fast'"),
        ("#! semantics cuda_free_synchronizes=7", 1, "Expected `bool`, got `int`"),
        ("#! nam x", 1, "unknown header key 'nam'; did you mean 'name'?"),
        ("s: launch x#y", 1, "a comment begins after white space"),
        ("s: write_value x 99999999999999999999", 1, "is no integer"),
        ("malloc a -4", 1, "what is '-4'"),
        ("s: launch device=-1", 1, "Expected `int` >= 0 - at `$.device`"),
        ("s: launch tag=" + "[" * 300 + "]" * 300, 1, "Expected `object | null`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(TraceError, match=re.escape(reason)) as caught:
        parse(text)

    assert (caught.value.source, caught.value.line) == ("<text>", line)


def test_a_thread_may_be_called_like_a_stream() -> None:
    trace = from_ops([o.Launch(stream="x"), o.HostRead(buffer="a", thread="x")])

    assert format_trace(trace) == "x: launch\nhost_read a thread=x\n"
    assert equal(parse(format_trace(trace)), trace)


@pytest.mark.parametrize(
    "name", ["", "a b", "0:1", "a->b", '"', "#", ";", "\n", "\x00", "→", "é@1"]
)
def test_any_name_comes_back(name: str) -> None:
    builder = TraceBuilder()
    ops: list[o.OpBase] = [
        o.Launch(stream=name, name=name, thread=name, reads=(name, (name, 1, 2))),
        o.Malloc(buffer=name, address=name, stream=name),
        o.HostFunc(stream=name, signals=(name, 1, "1"), writes=()),
        o.EventCreate(event=name, flags=name),
        o.Mark(name=name),
    ]
    builder.add(ops, {4: {name + "key": [name]}})
    trace = builder.finish(o.Header(name=name, sites=((name,),)), header_extras={"x" + "y": name})

    assert equal(parse(format_trace(trace)), trace)


@given(traces())
def test_random_programs_come_back(trace: Trace) -> None:
    assert equal(parse(format_trace(trace), trace.path), trace)


@given(any_traces())
def test_any_keys_come_back(trace: Trace) -> None:
    assert equal(parse(format_trace(trace), trace.path), trace)


def test_every_kind_of_op_comes_back() -> None:
    seen = set()
    for seed in range(300):
        trace = random_trace(seed)
        assert equal(parse(format_trace(trace)), trace), seed
        seen |= {op.word for op in trace}

    assert seen == set(o.WORDS)


PIECES = st.sampled_from(
    ["s1:", " launch", " r=", "a", "[", "0:4", "]", '"', "\\", ";", "\n", "#", "#!", " memcpy",
     "->", " ", "=", " tag={", "}", ",", "T/", "@1", "9" * 20, "-1", "malloc a 4", "sync", " name",
     "\x00", "é", "\ud800", "shape=", "strides=", "itemsize=", " sites", "+x", " nodes=", "null",
     "host_func", " signals=", "[[", "²", "semantics", "\x85", "\u2028"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=16).map("".join) | st.text(max_size=60))
def test_no_text_is_worse_than_a_trace_error(text: str) -> None:
    try:
        trace = parse(text)
    except TraceError as error:
        said = str(error)
    else:
        said = "fine"
        assert equal(parse(format_trace(trace)), trace)
    assert said
    assert "\n" not in said
