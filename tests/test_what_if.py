"""The timed replay: it gives the recorded times again, and what it predicts without an op is what
an independent simulation of the program without that op takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsan.sim.machine.what_if import WhatIf
from streamsan.sim.machine.what_if_changes import Change
from streamsan.sim.machine.what_if_results import MOST_ERROR
from streamsan.traces import load
from streamsan.traces.text import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parent / "data"
LAUNCH, GAP, CALL, RETURN = 5_000, 1_000, 2_000, 3_000
"""The oracle's device, ns: from a call to its work, from work to work, a call, a wait's return."""


# --- an oracle: a program is run, and its trace written with the times of that run


@dataclass(frozen=True)
class Do:
    """One call of a program; ``work`` in ns; ``think``: what the host does before it, in ns."""

    word: str
    stream: str = "s"
    event: str = ""
    work: int = 0
    think: int = 0


@dataclass
class Device:
    """What a run keeps: the host's clock, the end of each stream's work, what events captured."""

    now: int = 0
    over: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    """From when on a stream may run, by the waits that it was given."""
    event: dict[str, int] = field(default_factory=dict)
    last: int = 0
    lines: list[str] = field(default_factory=list)


def run(program: Sequence[Do], without: int = -1) -> Device:
    """Run a program; a call that is left out keeps the host's thinking before it."""
    device = Device()
    for number, do in enumerate(program):
        device.now += do.think
        if number != without:
            _call(device, do, number)
        device.last = max(device.last, device.now)
    return device


def _call(device: Device, do: Do, number: int) -> None:
    start, stream = device.now, do.stream
    device.now += CALL
    times = f"t={start} t_end={{}}"
    if do.word in ("launch", "download"):
        begin = max(start + LAUNCH, device.ready.get(stream, -GAP) + GAP)
        end = begin + do.work
        device.ready[stream] = device.over[stream] = end
        device.last = max(device.last, end)
        if do.word == "download":
            device.now = max(start, end) + RETURN
        times += f" begin={begin} end={end}"
        what = f"launch k w=b{number}" if do.word == "launch" else f"memcpy b{number} -> h D2H sync"
        line = f"{stream}: {what}"
    elif do.word == "record":
        device.event[do.event] = max(start, device.ready.get(stream, 0))
        line = f"{stream}: record {do.event}"
    elif do.word == "wait":
        captured = device.event.get(do.event)
        if captured is not None:
            device.ready[stream] = max(start, captured, device.ready.get(stream, 0))
        line = f"{stream}: wait {do.event}"
    elif do.word == "sync":
        device.now = max(start, device.event.get(do.event, 0)) + RETURN
        line = f"sync {do.event}"
    else:
        device.now = max(start, device.ready.get(stream, 0)) + RETURN
        line = f"stream_sync {stream}"
    device.lines.append(f"{line} {times.format(device.now)}")


def trace_of(program: Sequence[Do]) -> str:
    device = run(program)
    return "\n".join(["malloc h pageable 64", *device.lines])


calls = st.builds(
    Do,
    st.sampled_from(["launch", "launch", "launch", "download", "record", "wait", "sync", "drain"]),
    st.sampled_from(["s", "u"]),
    st.sampled_from(["e", "f"]),
    st.integers(1, 40).map(lambda n: n * 1_000),
    st.integers(0, 30).map(lambda n: n * 1_000),
)
programs = st.lists(calls, min_size=1, max_size=12).map(lambda p: [Do("launch", work=7_000), *p])


@given(programs)
@settings(max_examples=150, deadline=None)
def test_the_recorded_run_is_given_again(program: list[Do]) -> None:
    what = WhatIf(parse(trace_of(program)))

    assert what.reason is None
    assert what.replay.replayed == what.replay.recorded == run(program).last
    assert what.replay.contradicted == what.replay.guessed == 0


@given(programs, st.data())
@settings(max_examples=250, deadline=None)
def test_a_prediction_is_what_the_run_without_the_op_takes(
    program: list[Do], data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, len(program) - 1))
    what = WhatIf(parse(trace_of(program)))

    found = what.predict(Change(remove=(gone + 1,)))  # op 0 is the malloc

    assert found.gain == run(program).last - run(program, without=gone).last


@given(programs, st.data())
@settings(max_examples=100, deadline=None)
def test_the_changed_program_takes_what_its_changed_steps_take(
    program: list[Do], data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, len(program) - 1)) + 1
    what = WhatIf(parse(trace_of(program)))

    steps = what.predict(Change(remove=(gone,)))
    # op 1 is a launch, which is asynchronous as it is: only the way to the answer is another
    whole = what.predict(Change(remove=(gone,), asynchronous=(1,)))

    assert (whole.gain, whole.host_gain) == (steps.gain, steps.host_gain)


@given(programs, st.data())
@settings(max_examples=100, deadline=None)
def test_a_gain_is_never_negative_and_never_more_than_the_run(
    program: list[Do], data: st.DataObject
) -> None:
    count = len(program)
    ops = st.lists(st.integers(1, count), unique=True, max_size=3).map(tuple)
    works = tuple(n + 1 for n, do in enumerate(program) if do.word in ("launch", "download"))
    waits = tuple(n + 1 for n, do in enumerate(program) if do.word in ("wait", "sync", "drain"))
    copies = tuple(n + 1 for n, do in enumerate(program) if do.word == "download")
    wait = data.draw(st.sampled_from(waits)) if waits else 0
    before = tuple(op for op in works if op < wait)[:1]
    change = Change(
        remove=data.draw(ops),
        unblock=data.draw(ops),
        narrow=((wait, before),) if wait else (),
        aside=tuple((copy, copy, works[:1] if works[0] < copy else ()) for copy in copies[:1]),
        shrink=tuple((copy, 0.25) for copy in copies),
    )
    what = WhatIf(parse(trace_of(program)))

    found = what.predict(change)

    assert 0 <= found.gain <= what.replay.recorded
    assert found.moved >= found.payer_ns >= 0
    assert (found.payer is None) == (found.payer_ns == 0)


# --- by hand


def test_work_that_nothing_waits_for_gains_nothing() -> None:
    # u's kernel is over at 900 and nobody waits for it; s is over at 2_000. Its call takes no time.
    what = WhatIf(
        parse("""
        u: launch aside w=a t=0 t_end=0 begin=100 end=900
        s: launch main w=b t=0 t_end=10 begin=100 end=2000
    """)
    )

    assert what.predict(Change(remove=(0,))).gain == 0
    # The other way round the run ends with what is left: u's kernel, at 900.
    assert what.predict(Change(remove=(1,))).gain == 1_100


TWO_PAYERS = """
    malloc p pageable 64
    s: launch forward w=x t=0 t_end=10 begin=20 end=1020
    s: memcpy x -> p D2H sync via=item t=10 t_end=1060 begin=1030 end=1050
    {second}
    host_write q t={start} t_end={stop}
"""


def test_the_only_payer_gains_its_whole_wait() -> None:
    # Without the download the host's own 2_000 ns begin at 10 and not at 1_060: 1_050 sooner.
    # It waited from 10 until the copy was over at 1_050.
    what = WhatIf(parse(TWO_PAYERS.format(second="", start=1060, stop=3060)))

    found = what.predict(Change(remove=(2,)))

    assert (found.gain, found.host_gain, found.payer, found.moved) == (1_050, 1_040, None, 0)


def test_of_two_payers_the_next_one_is_named_and_the_gain_is_small() -> None:
    # The synchronise found nothing to wait for (1_060 to 1_070). Without the download it begins
    # at 10 and waits for the kernel's end: 1_020 - 10 = 1_010; it returns 10 later, at 1_030,
    # where it had returned at 1_070: 40 sooner, the download's 30 on the link and what hung on it.
    text = TWO_PAYERS.format(second="stream_sync s t=1060 t_end=1070", start=1070, stop=3070)
    what = WhatIf(parse(text))

    found = what.predict(Change(remove=(2,)))

    assert (found.gain, found.payer, found.payer_ns, found.moved) == (40, 3, 1_010, 1_010)
    assert found.host_gain == 1_040 - 1_010
    # Without both, the whole wait is gained, and nobody pays.
    both = what.predict(Change(remove=(2, 3)))
    assert (both.gain, both.payer) == (1_060, None)


def test_a_wait_of_a_stream_that_is_narrowed() -> None:
    # use waits for other, over at 5_000, through the event; it needs produce, over at 1_000.
    # Then it begins 100 after 1_000, as it began 100 after 5_000, and is over at 1_300, so the
    # run ends with other: 5_300 - 5_000 = 300 sooner.
    what = WhatIf(
        parse("""
        s1: launch produce w=a t=0 t_end=0 begin=50 end=1000
        s1: launch other w=b t=0 t_end=0 begin=1100 end=5000
        s1: record e t=0 t_end=0
        s2: wait e t=0 t_end=0
        s2: launch use r=a t=0 t_end=0 begin=5100 end=5300
    """)
    )

    assert what.predict(Change(narrow=((3, (0,)),))).gain == 300
    assert what.predict(Change(remove=(3,))).gain == 300
    assert what.predict(Change(narrow=((3, (0, 1)),))).gain == 0


def test_a_download_to_a_stream_of_its_own() -> None:
    # prep waits for the forward pass (over at 9_000) and then downloads n (ready at 500) for 100.
    # Alone it needs lengths only: it begins 10 after 500 (the usual gap, which it had), and the
    # host, back 20 after the copy's end at 610, has 630 where it had 9_130: 8_500 less.
    # What prep does next still waits for the forward pass: 9_010 + 200 is when it is over.
    what = WhatIf(
        parse("""
        malloc h pinned 64
        prep: launch lengths w=n t=0 t_end=0 begin=100 end=500
        fwd: launch forward r=x w=x t=0 t_end=0 begin=100 end=9000
        fwd: record done t=0 t_end=0
        prep: wait done t=0 t_end=0
        prep: memcpy n -> h D2H sync via=cpu t=0 t_end=9130 begin=9010 end=9110
        host_read h t=9130 t_end=9140
        prep: launch next r=x w=n t=9140 t_end=9150 begin=9240 end=9440
    """)
    )

    found = what.predict(Change(aside=((5, 5, (1,)),)))

    assert found.host_gain == 8_500
    assert found.gain == 9_440 - (9_000 + 10 + 200)


def test_a_copy_of_which_a_quarter_is_copied() -> None:
    what = WhatIf(
        parse("""
        malloc h pinned 1024
        s: memcpy a -> h D2H t=0 t_end=0 begin=100 end=1100
    """)
    )

    assert what.predict(Change(shrink=((1, 0.25),))).gain == 750


def test_a_trace_without_times_predicts_nothing() -> None:
    what = WhatIf(parse("s: launch k w=a"))

    assert what.reason == "the trace has no times of device work"
    with pytest.raises(ValueError, match="no times"):
        what.predict(Change(remove=(0,)))


def test_too_few_times_are_none() -> None:
    timed = "s: launch k w=a t=0 begin=1 end=2"

    half = WhatIf(parse(f"{timed}; s: launch k w=a"))
    early = WhatIf(parse(f"{timed}; s: launch k begin=3 end=4; s: launch k begin=5 end=6"))

    assert half.reason == "1 of 2 ops of device work have no times"
    assert early.reason == "the calls of 2 of 3 ops of device work have no times"


def test_a_program_that_hangs_predicts_nothing() -> None:
    what = WhatIf(
        parse("""
        s: launch k w=a t=0 t_end=1 begin=2 end=3
        s: host_func awaits=go t=1
        stream_sync s t=2
        signal go t=3
    """)
    )

    assert what.reason == "the trace goes round in a circle"


def test_times_that_contradict_a_wait_are_counted() -> None:
    # The wait is back at 100, the kernel over at 90_000: its edge is left out. At 9_000 it may be
    # the clocks that differ, and the wait is kept.
    text = "s: launch k w=a t=0 begin=10 end={}; stream_sync s t=50 t_end=100"
    far, near = WhatIf(parse(text.format(90_000))), WhatIf(parse(text.format(9_000)))

    assert far.reason is near.reason is None
    assert (far.replay.contradicted, near.replay.contradicted) == (1, 0)
    assert near.replay.replayed == 9_000


def test_work_launched_before_the_trace_keeps_its_place() -> None:
    what = WhatIf(
        parse("""
        s: launch early begin=1000 end=2000
        s: launch k w=a t=500 t_end=510 begin=2010 end=3000
    """)
    )

    assert what.predict(Change(remove=(1,))).gain == 1_000
    assert what.replay.error <= MOST_ERROR


def test_the_oracle_can_tell_two_programs_apart() -> None:
    program = [Do("launch", work=9_000), Do("drain"), Do("launch", work=5_000)]

    assert run(program).last > run(program, without=1).last
    assert run([replace(do, think=1) for do in program]).last > run(program).last


# --- calls


NESTED = """
    s: launch outer w=a t=0 t_end=100 begin=50 end=60
    s: launch inner w=b t=20 t_end=30 begin=70 end=80
    host_write q t=100 t_end=1100
"""


@pytest.mark.parametrize("op", [0, 1])
def test_a_call_within_a_call_gains_nothing_by_itself(op: int) -> None:
    # inner begins 20 after outer began, whatever outer does; the host goes on 70 after inner and
    # not before outer is back: without either call the other still takes until 100.
    assert WhatIf(parse(NESTED)).predict(Change(remove=(op,))).gain == 0


def test_a_thread_begins_once_it_is_started() -> None:
    # T writes from 1_040 to 6_040, 30 after it was started at 1_010; without the wait from 0 to
    # 1_010 it is started at 0. Its name stands before that of the thread that starts it.
    what = WhatIf(
        parse("""
        A: host_write z t=0 t_end=0
        s: launch k w=a t=0 t_end=0 begin=10 end=1000
        stream_sync s t=0 t_end=1010
        thread_start target=T t=1010 t_end=1010
        T: host_write q t=1040 t_end=6040
    """)
    )

    assert what.predict(Change(remove=(2,))).gain == 1_010


def test_a_wait_that_is_back_before_the_clock_of_the_device_says_so() -> None:
    what = WhatIf(
        parse("""
        s: launch k w=a t=0 t_end=0 begin=10 end=1010
        stream_sync s t=0 t_end=1000
        host_write q t=1000 t_end=3000
    """)
    )

    assert what.replay.replayed == what.replay.recorded == 3_000


# --- guesses


UNRESOLVED = """
    #! complete sync={sync}
    malloc p pageable 64
    s: launch forward w=x t=0 t_end=10 begin=20 end=1020
    s: memcpy x -> p D2H sync via=item t=10 t_end=1060 begin=1030 end=1050
    mark name=cudaStreamSynchronize +unresolved={kind} t=1060 t_end=1070
    host_write q t=1070 t_end=3070
"""


@pytest.mark.parametrize(
    ("sync", "kind", "gain", "payer"),
    [
        # As of two payers above: the stream is that of the thread's last work.
        ("false", "stream_synchronize", 40, 3),
        # Nothing was over while the call lasted: for what it waited is not known.
        ("false", "event_synchronize", 1_050, None),
        # A whole trace is not guessed at.
        ("true", "stream_synchronize", 1_050, None),
    ],
)
def test_an_unresolved_synchronise_pays_next(
    sync: str, kind: str, gain: int, payer: int | None
) -> None:
    what = WhatIf(parse(UNRESOLVED.format(sync=sync, kind=kind)))

    found = what.predict(Change(remove=(2,)))

    assert (found.gain, found.payer) == (gain, payer)
    assert what.replay.guessed == (payer is not None)


@pytest.mark.parametrize(
    ("kind", "back", "gain"),
    [
        # The host's 2_000 begin at 10 (back from its wait after 10 of its own) instead of 1_030.
        ("event_synchronize", 1_030, 1_030 - 10),
        ("unknown", 1_030, 1_030 - 10),
        # These wait for nothing: the call's own time stays, and only the launch's 10 go.
        ("event_record", 1_030, 10),
        ("stream_wait_event", 1_030, 10),
        # Back long after anything was over, the host did something else.
        ("event_synchronize", 91_030, 10),
    ],
)
def test_an_unresolved_wait_is_for_what_was_over_as_it_returned(
    kind: str, back: int, gain: int
) -> None:
    # Over while the host waits (10 to 1_030): forward, at 1_020, and later, at 1_025, which was
    # issued after the wait began and so is not what it waits for.
    text = """
        #! complete sync=false
        s: launch forward w=x t=0 t_end=10 begin=20 end=1020
        mark name=call +unresolved={kind} t=10 t_end={back}
        T/u: launch later w=y t=20 t_end=30 begin=40 end=1025
        host_write q t={back} t_end={stop}
    """
    what = WhatIf(parse(text.format(kind=kind, back=back, stop=back + 2_000)))

    assert what.predict(Change(remove=(0,))).gain == gain
    assert what.predict(Change(remove=(2,))).gain == 0


def test_a_guess_that_the_times_contradict_is_not_made() -> None:
    # The thread's last work is over long after the synchronise is back: it was another stream's.
    what = WhatIf(
        parse("""
        #! complete sync=false
        s: launch long w=x t=0 t_end=10 begin=20 end=900020
        mark name=call +unresolved=stream_synchronize t=10 t_end=1030
    """)
    )

    assert (what.replay.guessed, what.replay.contradicted) == (0, 0)


ENGINE = """
    #! complete sync={sync}
    malloc h pinned 64
    v: launch a w=o t=0 t_end=0 begin=20 end=30
    v: launch b w=o t=100 t_end=100 begin=120 end=130
    v: launch c w=o t=200 t_end=200 begin=220 end=230
    s: {one} t=0 t_end=0 begin=20 end=100020
    u{device}: memcpy h -> y H2D t=0 t_end=0 begin=100030 end=200030
"""


@pytest.mark.parametrize(
    ("sync", "one", "device", "gain"),
    [
        # Both copies go up: the second, called at 0, waited for the engine. Without the first it
        # begins the usual 20 after its call.
        ("true", "memcpy h -> x H2D", "", 100_010),
        ("true", "memcpy x -> h D2H", "", 0),
        ("true", "launch k w=x", "", 0),
        ("true", "memcpy h -> x H2D", "@1", 0),
        # Where waits may be missing in the trace, any work may have held it back.
        ("false", "launch k w=x", "", 100_010),
        ("false", "launch k w=x", "@1", 0),
    ],
)
def test_copies_wait_for_their_engine(sync: str, one: str, device: str, gain: int) -> None:
    what = WhatIf(parse(ENGINE.format(sync=sync, one=one, device=device)))

    assert what.replay.replayed == what.replay.recorded == 200_030
    assert what.predict(Change(remove=(4,))).gain == gain


# --- changes


def test_what_follows_a_download_that_goes_aside_keeps_the_fence_and_leaves_the_copy() -> None:
    # The copy of 5_000 waits for the fence (1_000) until 6_010 and next for the copy, until 6_220.
    # Aside it runs from 510 to 5_510; next needs the fence alone and its call, which the host
    # makes once it has the bytes, at 5_510 + 20 + 10: it runs from 5_550 (20 after its call).
    what = WhatIf(
        parse("""
        malloc h pinned 64
        prep: launch lengths w=n t=0 t_end=0 begin=20 end=500
        fwd: launch forward r=x w=x t=0 t_end=0 begin=20 end=1000
        fwd: record done t=0 t_end=0
        prep: wait done t=0 t_end=0
        prep: memcpy n -> h D2H t=0 t_end=0 begin=1010 end=6010
        prep: launch next r=x w=m t=0 t_end=0 begin=6020 end=6220
        prep: record e t=0 t_end=0
        other: launch tail w=z t=0 t_end=0 begin=20 end=30
        sync e t=0 t_end=6230
    """)
    )

    # next runs from 1_010 to 1_210; the wait is for the copy alone and is back at 5_510 + 10.
    found = what.predict(Change(aside=((9, 5, (1,)),)))

    assert found.host_gain == 6_220 - 5_510
    assert found.gain == 6_230 - 5_520


def test_a_narrowed_wait_keeps_the_order_of_its_stream() -> None:
    # s2 is busy until 3_000; use begins 100 after that, and not 100 after produce.
    what = WhatIf(
        parse("""
        s1: launch produce w=a t=0 t_end=0 begin=50 end=1000
        s1: launch other w=b t=0 t_end=0 begin=1100 end=5000
        s1: record e t=0 t_end=0
        s2: launch busy w=c t=0 t_end=0 begin=50 end=3000
        s2: wait e t=0 t_end=0
        s2: launch use r=a t=0 t_end=0 begin=5100 end=9100
    """)
    )

    assert what.predict(Change(narrow=((4, (0,)),))).gain == 5_000 - 3_000
    assert what.predict(Change(narrow=((4, (2,)),))).gain == 0  # a record after other


def test_a_usual_delay_makes_nothing_later_than_it_was() -> None:
    # use waits for a by itself, and no longer the host for it. 120 after its stream was free it
    # began; 120 after a is over would be 1_120. But it began at 1_020, and would then, too.
    what = WhatIf(
        parse("""
        v: launch a w=a t=0 t_end=0 begin=20 end=1000
        w: launch p w=b t=0 t_end=0 begin=20 end=900
        stream_sync v t=0 t_end=1000
        w: launch use r=a t=1000 t_end=1000 begin=1020 end=2020
    """)
    )

    found = what.predict(Change(unblock=(2,), hold=((3, (0,)),)))

    assert (found.gain, found.host_gain) == (0, 1_000)


def test_ops_without_work_narrow_to_nothing() -> None:
    what = WhatIf(
        parse("""
        malloc a device 64
        s: launch k w=a t=0 t_end=0 begin=10 end=1010
        stream_sync s t=0 t_end=1020
        host_write q t=1020 t_end=3020
    """)
    )

    assert what.predict(Change(narrow=((2, (0,)),))).gain == 1_010


# --- changes of the program


RECORDED = """
    malloc h pinned 64
    s: launch long w=a t=0 t_end=10 begin=20 end=1020
    s: record e t=10 t_end=20
    s: launch last w=b t=20 t_end=30 begin=1030 end=5030
    u: launch other w=c t=30 t_end=40 begin=50 end=2050
    sync e t=40 t_end=1030
    u: launch use r=c t=1030 t_end=1040 begin=2060 end=3060
"""


@pytest.mark.parametrize(
    ("change", "end"),
    [
        # Without the record nothing is waited for; use still comes after other, and last ends it.
        (Change(remove=(2,)), 5_030),
        # last, called at 20, is now the first of u: from 40, the usual 20 after its call, to 4_040.
        # other and use follow, each the usual 10 later.
        (Change(move=((3, "u"),)), 4_040 + 10 + 2_000 + 10 + 1_000),
        # use waits for last, over at 5_030, and begins 10 after that, as it did after other.
        (Change(edge=((3, 6),)), 5_030 + 10 + 1_000),
        # other, called before last, waits for long: from 1_030 to 3_030. last is the end.
        (Change(edge=((1, 4),)), 5_030),
        # other is issued after last: last waits for an event that is not recorded, for nothing.
        (Change(edge=((4, 3),)), 5_030),
    ],
)
def test_a_recorded_run_with_its_program_changed(change: Change, end: int) -> None:
    what = WhatIf(parse(RECORDED))

    assert what.run.makespan == 5_030
    assert what.predict(change).after.makespan == end


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        # a wait whose cause was guessed, a copy that was held by its engine, a contradicted wait
        (UNRESOLVED.format(sync="false", kind="stream_synchronize"), 2),
        (ENGINE.format(sync="true", one="memcpy h -> x H2D", device=""), 4),
        ("s: launch k w=a t=0 t_end=1 begin=10 end=90000; stream_sync s t=50 t_end=100", 1),
    ],
)
def test_a_changed_program_keeps_what_its_times_showed(text: str, gone: int) -> None:
    what = WhatIf(parse(text))
    nothing = Change(asynchronous=(0,))  # it is no copy: the program is as it was

    assert what.predict(nothing).after.times == what.run.times
    assert what.predict(nothing).host_gain == 0
    again = what.predict(Change(remove=(gone,), asynchronous=(0,)))
    assert again.gain == what.predict(Change(remove=(gone,))).gain


def test_what_moves_leaves_its_delay_behind() -> None:
    # s's second kernel begins 5_000 after the first, and nothing says why; u's second the usual 10.
    # Moved to u, where it comes before q, it begins the usual 10 after p is over.
    what = WhatIf(
        parse("""
        u: launch p w=a t=0 t_end=0 begin=20 end=1020
        s: launch a w=b t=0 t_end=0 begin=20 end=1020
        s: launch late w=c t=0 t_end=0 begin=6020 end=9020
        u: launch q w=d t=0 t_end=0 begin=1030 end=1040
        u: launch r w=e t=0 t_end=0 begin=1050 end=1060
    """)
    )

    found = what.predict(Change(move=((2, "u"),))).after

    assert found.spans[2] == (1_020 + 10, 1_020 + 10 + 3_000)


def test_without_a_record_its_wait_is_for_the_one_before() -> None:
    # sync e is back at 5_010, 10 after b is over; without b's record it waits for a's, over at
    # 1_000. The host's write takes 9_000 after that: 10_010 instead of 14_010.
    what = WhatIf(
        parse("""
        s: launch a w=a t=0 t_end=0 begin=10 end=1000
        s: record e t=0 t_end=0
        s: launch b w=b t=0 t_end=0 begin=1000 end=5000
        s: record e t=0 t_end=0
        sync e t=0 t_end=5010
        host_write q t=5010 t_end=14010
    """)
    )

    found = what.predict(Change(remove=(3,)))

    assert (found.gain, found.host_gain) == (4_000, 4_000)


def test_a_recorded_wait_on_a_value_hangs_on_what_met_it() -> None:
    # b begins 10 after a is over and its stream has written; without a, 10 after the calls, at 10.
    what = WhatIf(
        parse("""
        u: launch a w=a t=0 t_end=0 begin=10 end=1000
        u: write_value x 1 t=0 t_end=0
        s: wait_value x 1 t=0 t_end=0
        s: launch b w=b t=0 t_end=0 begin=1010 end=2010
    """)
    )

    assert what.replay.replayed == 2_010
    assert what.predict(Change(remove=(0,))).gain == 1_000
    # recorded, it was met, if not by an op of the trace
    other = WhatIf(parse("s: wait_value x 1 t=0 t_end=0; s: launch b t=0 begin=10 end=20"))
    assert (other.reason, other.run.makespan) == (None, 20)


def test_kernels_that_ran_at_once_keep_their_engine_busy_once() -> None:
    what = WhatIf(
        parse("""
        s: launch a w=a t=0 t_end=0 begin=10 end=1000
        u: launch b w=b t=0 t_end=0 begin=500 end=1500
    """)
    )

    assert what.run.streams == {"s": 990, "u": 1_000}
    assert what.run.engines["compute"] == 1_500 - 10


def test_a_thread_that_is_started_twice_is_no_circle() -> None:
    # T writes twice, each time for 1_000 and 10 after it was started; the join between the two is
    # back at 1_010. Without the first write all is over 1_000 sooner.
    what = WhatIf(
        parse("""
        thread_start target=T t=0 t_end=0
        T: host_write p t=10 t_end=1010
        thread_join target=T t=0 t_end=1010
        thread_start target=T t=1010 t_end=1010
        T: host_write q t=1020 t_end=2020
        s: launch k w=a t=1010 t_end=1010 begin=1020 end=1030
    """)
    )

    assert what.reason is None
    assert what.predict(Change(remove=(1,))).gain == 1_000


# --- real profiles

REAL = {
    "kineto/a100_cuda_sync_alexnet.json.gz": (12_996_068_000, 0, 0),
    "kineto/mi250_rocm62_minitoy.json.gz": (9_583_086, 0, 0),
    "et/megatron_tp8_rank0_kineto.json.gz": (603_298_000, 0, 156),
    "nsys/h100_2gpu_nccl_nsys2026.2.1_schema3.25.0.sqlite.gz": (299_936_542, 0, 0),
}
"""By file: the time from the first moment to the last, waits contradicted, waits guessed."""


@pytest.mark.parametrize("name", REAL)
def test_real_profiles_are_given_again(name: str) -> None:
    replay = WhatIf(load(DATA / name)).replay

    assert replay.replayed == replay.recorded
    assert (replay.recorded, replay.contradicted, replay.guessed) == REAL[name]
    assert replay.unexplained < 0.01
