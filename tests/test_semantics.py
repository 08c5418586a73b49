"""What each op orders: cases worked by hand from cuda-ordering.md, one line of reasoning each.

Under a program stand claims about its ops: ``0<3`` (0 has completed before 3 can start), ``0|3``
(neither way). ``1.0`` is the first access of op 1.
"""

from __future__ import annotations

import re

import pytest

from streamsan.traces.order import HappensBefore
from streamsan.traces.text import parse

B = "stream_create b blocking; stream_create c blocking; "
"""Two blocking streams: ops 0 and 1."""
P = "malloc p pageable 8; "
H = "malloc h pinned 8; "
M = "malloc m managed 8; "

CASES: dict[str, tuple[str, str]] = {
    # --- records, waits, generations (R3 to R9, R52; section 7, point 5)
    "a record carries no order of its own call": (
        "host_write h; s: record e; T2: sync e; T2: host_read h",
        "0<1 1<2 0|2 0|3",
    ),
    "a launch does, and a record after it captures that": (
        "host_write h; s: launch; s: record e; T2: sync e; T2: host_read h",
        "0<1 0<2 0<3 0<4",
    ),
    "a wait carries its call": (
        "s: record e; host_write h; r: wait e; r: record f; T2: sync f; T2: host_read h",
        "1<2 1<3 1<5",
    ),
    "a capture holds what the stream had waited for": (
        "a: launch; a: record e; b: wait e; b: record f; c: wait f; c: launch",
        "0<5 0<3",
    ),
    "a stream wait holds up no host": ("a: launch; a: record e; b: wait e; host_read h", "0|3 2|3"),
    "a host wait orders every later issue, on new streams too": (
        "a: launch; stream_sync a; new: launch; T2/t: launch; T2: mark",
        "0<2 0|3 0|4",
    ),
    "a second record does not unite the two": (
        "a: launch; a: record e; b: launch; b: record e; c: wait e; c: launch",
        "2<5 0|5",
    ),
    "unless its stream first waits for the first": (
        "a: launch; a: record e; b: wait e; b: record e; c: wait e; c: launch",
        "0<5",
    ),
    "a wait keeps its capture when the event is destroyed": (
        "a: launch; a: record e; b: wait e; event_destroy e; b: launch",
        "0<4",
    ),
    "an event destroyed, or made again, is empty": (
        ("a: launch; a: record e; event_destroy e; b: wait e; b: launch; event_create e; "
        "c: wait e; c: launch; sync e; host_read h"),
        "0|4 0|7 0|9",
    ),
    "a record on another thread binds in file order": (
        "T2/a: launch; T2/a: record e; b: wait e; b: launch",
        "0<3",
    ),
    "only a query that succeeded orders the host": (
        ("a: launch; a: record e; event_query e; mark; event_query e not_ready; mark; "
        "event_query e success; mark"),
        "0|3 0|5 0<7",
    ),
    "a record by one thread says nothing about another thread's host code": (
        "host_write h; T2/s: record e; T2: sync e; T2: host_read h",
        "0|1 0|3",
    ),
    # --- the legacy default stream (R11 to R16; section 7, points 1, 2 and 11)
    "an action on 0 stands between blocking streams": (
        B + "b: launch; 0: launch; c: launch",
        "2<3 3<4 2<4",
    ),
    "a record on 0 is an action": (B + "b: launch; T2/0: record e; T3/c: launch", "2<3 2<4"),
    "a wait on 0 is one, where there is something to wait for": (
        B + "s: record e; b: launch; T2/0: wait e; T3/c: launch",
        "3<4 3<5",
    ),
    "a wait on 0 for an event never recorded is none": (
        B + "b: launch; T2/0: wait e; T3/c: launch",
        "2|4",
    ),
    "a synchronise or a query of 0 is none": (
        B + "b: launch; T2: stream_sync 0; T2: stream_query 0 success; T3/c: launch",
        "2<3 2<4 2|5",
    ),
    "a record on a blocking stream captures what 0 holds": (
        B + "0: launch; b: record e; T2: sync e; T2: host_read h",
        "2<5",
    ),
    "a synchronise of a blocking stream does not cover 0": (
        B + "0: launch; stream_sync b; host_read h",
        "2|3 2|4",
    ),
    "a synchronise of 0 covers blocking streams, not others": (
        B + "b: launch; s: launch; 0: memset z; stream_sync 0; mark",
        "2<6 3|6 4<6",
    ),
    "the legacy stream is one a device": (
        B + "b: launch; 0@1: launch; c: launch; 0: launch",
        "2|3 3|4 3|5 2<5",
    ),
    "per-thread streams are blocking, and apart": (
        "ptds: launch; T2/ptds: launch; 0: launch; T2/ptds: launch",
        "0|1 0<2 1<2 2<3 0<3",
    ),
    "0 waits for the pending work of a destroyed blocking stream": (
        "stream_create b blocking; b: launch; stream_destroy b; 0: launch",
        "1<3",
    ),
    "a blocking stream created later waits for earlier actions on 0": (
        "0: launch; stream_create b blocking; b: launch",
        "0<2",
    ),
    "a stream created again under a name is another": (
        "s: launch; stream_destroy s; stream_create s; s: launch",
        "0|3",
    ),
    # --- copies (R16 to R25, R39, R46)
    "a pageable upload reads at the call and writes in the stream": (
        P + "s: memcpy p -> a; host_write p; s: launch; T2/s: launch",
        "1.0<2 1.1|2 1|2 1<3 1<4 1.1<4",
    ),
    "the strict reading of its read": (
        "#! semantics pageable_h2d_stages=false\n" + P + "s: memcpy p -> a; host_write p",
        "1.0|2",
    ),
    "a source read in stream order": (
        P + "s: launch; s: memcpy p -> a src_access=stream; host_write p",
        "1<2.0 2.0|3",
    ),
    "a source read at any time: before earlier work, not before the call": (
        P + "host_write p; s: launch; s: memcpy p -> a src_access=any; s: launch; host_write p",
        "1<3.0 2|3.0 2<3.1 3.0<3.1 3.0<4 3.0|5",
    ),
    "a synchronous pageable upload waits for what came before, and for its read": (
        P + "0: launch; 0: memcpy p -> a sync; host_read p",
        "1<3 2.0<3 2.1|3",
    ),
    "with torch's wait, for all of it": (
        P + "0: launch; 0: memcpy p -> a sync wait=stream; host_read p",
        "1<3 2<3",
    ),
    "a synchronous pinned upload is waited for": (H + "0: memcpy h -> a sync; mark", "1<2"),
    "an asynchronous one is not": (H + "s: memcpy h -> a; mark", "1|2"),
    "a download to pageable memory is, whatever it says": (P + "s: memcpy a -> p; mark", "1<2"),
    "but not in the strict reading": (
        "#! semantics pageable_d2h_async_blocks=false\n" + P + "s: memcpy a -> p; mark",
        "1|2",
    ),
    "a blocking copy joins its stream only, and only its thread": (
        P + "r: launch; s: launch; s: memcpy a -> p sync; mark; T2: mark; T2/s: launch",
        "1|4 2<4 3<4 3|5 3<6",
    ),
    "a copy on the device holds up no host": (
        "s: memcpy a -> b sync; mark; 0: memcpy a -> b sync; mark; s: memcpy a -> b P2P sync; mark",
        "0|1 2|3 4|5",
    ),
    "a copy between host memories first waits for its stream": (
        P + H + "s: launch; s: memcpy p -> h; host_write h; s: launch; T2/s: launch",
        "2<3 3<4 3<5 3<6",
    ),
    "registered memory is pinned until it is unregistered": (
        P + "host_register p; s: memcpy p -> a; host_write p; host_unregister p; "
        "s: memcpy p -> a; host_write p",
        "2.0|3 5.0<6",
    ),
    "managed memory holds up the host under a switch only": (M + "s: memcpy a -> m; mark", "1|2"),
    "and with the switch it does": (
        "#! semantics managed_copies_block=true\n" + M + "s: memcpy a -> m; mark",
        "1<2",
    ),
    "a synchronous memset returns when done for pinned memory only": (
        H + M + "0: memset h sync; mark; 0: memset m sync; mark; 0: memset h; mark",
        "2<3 4|5 6|7",
    ),
    "for managed memory with the switch": (
        "#! semantics managed_memset_blocks=true\n" + M + "0: memset m sync; mark",
        "1<2",
    ),
    # --- devices, frees, allocators (R10, R26 to R29, R54)
    "a device synchronise covers one device": (
        "s: launch; x@1: launch; 0@1: launch; device_sync 1; mark",
        "0|4 1<4 2<4",
    ),
    "a plain free waits for its device": (
        "malloc b 8; s: launch; x@1: launch; free b; mark; T2: mark",
        "1<4 2|4 1|5",
    ),
    "not with the switch off": (
        "#! semantics cuda_free_synchronizes=false\nmalloc b 8; s: launch; free b; mark",
        "1|3",
    ),
    "nor for other memory and other allocators": (
        ("malloc h 8 pinned; malloc p 8 pageable; malloc v 8 mapped; malloc c 8 caching stream=s; "
        "s: launch; free h; free p; free v; free c; free never; mark"),
        "4|10",
    ),
    "a managed free does": ("malloc m 8 managed; s: launch; free m; mark", "1<3"),
    "an allocation orders nothing": ("a: launch; malloc z 8; b: launch; mark", "0|2 0|3"),
    "a reuse orders no other memory": (
        ("s1: malloc_async p 8 address=A; s1: launch w=z; s1: free_async p; "
        "T2/s2: malloc_async q 8 address=A; T2/s2: launch r=z w=q"),
        "1|4 1|3 2|3",
    ),
    # --- values: R45
    "a value wait may be met by a later write": (
        "a: wait_value x 1; a: launch; c: launch; c: write_value x 1",
        "2<1 3<1",
    ),
    "of several writes only what all share is certain": (
        ("c: launch; c: write_value x 1; d: launch; d: write_value x 1; s: wait_value x 1; "
        "s: launch"),
        "0|5 2|5",
    ),
    "what they share may be the host": (
        ("host_write h; c: write_value x 1; d: write_value x 1; T2/s: wait_value x 1; "
        "T2/s: launch; T2: mark"),
        "0<4 1|4 2|4 0|5",
    ),
    "of two writes on one stream the earlier is enough": (
        ("c: launch; c: write_value x 1; c: launch; c: write_value x 2; s: wait_value x 1; "
        "s: launch"),
        "0<5 1<5 2|5",
    ),
    "too small a value meets nothing": (
        ("c: launch; c: write_value x 1; d: launch; d: write_value x 2; s: wait_value x 2; "
        "s: launch"),
        "0|5 2<5",
    ),
    "a write after a write that is enough adds nothing": (
        ("c: launch; c: write_value x 1; c: record e; d: wait e; d: launch; d: write_value x 1; "
        "s: wait_value x 1; s: launch"),
        "0<7 4|7",
    ),
    "a write behind the wait itself cannot meet it": (
        "c: wait_value x 1; c: write_value x 1; d: launch; d: write_value x 1; c: launch",
        "2<4 2<1",
    ),
    "zero stands there from the beginning": (
        "c: launch; c: write_value x 0; s: wait_value x 0; s: launch",
        "0|3",
    ),
    "a store by the host": (
        "host_write h; store x 1; T2/s: wait_value x 1; T2/s: launch; T2: mark",
        "0<3 0|4",
    ),
    # --- graphs and collectives: R33, R51
    "launches of one graph run one after another": (
        ("s1: launch; s1: graph_launch g; s2: graph_launch g; s2: launch; s1: launch; "
        "s3: graph_launch k"),
        "0<2 1<2 0<3 2|4 1|5",
    ),
    "a third launch comes after the second": (
        "a: graph_launch g; b: graph_launch g; c: graph_launch g; T2/a: launch",
        "0<2 1<2 1|3",
    ),
    "a capture runs nothing": ("s: graph_capture g w=a; T2/r: launch r=a", "0|1"),
    "a collective starts once every rank is there": (
        ("s: launch; s: collective w rank=0; s: launch; T2/x@1: launch; "
        "T2/x@1: collective w rank=1; T2/x@1: launch"),
        "0<5 3<2 0<4 3<1 1|4 1|5 2|4 0|3",
    ),
    "collectives meet by their number": (
        ("s: launch; s: collective w rank=0 seq=1; T2/x@1: collective w rank=1 seq=2; "
        "T2/x@1: launch"),
        "0|3",
    ),
    "without a number in turn": (
        ("s: collective w rank=0; s: launch; s: collective w rank=0; "
        "T2/x@1: collective w rank=1; T2/x@1: launch; T2/x@1: collective w rank=1"),
        "1<5 1|4 4<2",
    ),
    "a collective of one rank is an ordinary op": (
        "s: launch; s: collective w rank=0 ranks=0,1; r: launch; s: launch",
        "0<1 1<3 1|2",
    ),
    # --- threads, tokens, tasks, agents, host functions (R30, R44, R48 to R50)
    "a thread never started was always there": ("host_write h; T2: host_read h", "0|1"),
    "a thread's ops come after its start": ("host_write h; thread_start T2; T2: mark", "0<2 1<2"),
    "even where the file has them before it": (
        "T2: host_read h; host_write h; thread_start T2; mark; T2: mark",
        "1<0 2<0 3|0 3|4 2<3",
    ),
    "a join comes after all the thread did": (
        "thread_start T2; T2: mark; thread_join T2; mark",
        "1<3 1<2",
    ),
    "a join before the thread is started again covers the first run only": (
        "thread_start T2; T2: mark; thread_join T2; thread_start T2; T2: mark; mark",
        "1<5 1<4 4|5",
    ),
    "a join does not wait for what the thread issued": (
        "T2/s: launch; thread_join T2; mark",
        "0|2",
    ),
    "an await binds to the latest earlier signal": (
        "mark; signal k; mark; signal k; mark; signal q; T2: await k; T2: mark",
        "0<7 2<7 4|7",
    ),
    "with none, to the first later one": (
        "T2: await k; T2: mark; mark; signal k; mark; signal k",
        "2<1 3<1 4|1",
    ),
    "a host function is on its stream, not on the host": (
        "s: launch; s: host_func w=h; mark; s: launch",
        "0<1 1<3 1|2",
    ),
    "a host function signals after it and awaits before it": (
        ("s: launch; s: host_func signals=k; T2: await k; T2: mark; signal q; "
        "T3/r: host_func awaits=q; T3/r: launch; T3: mark"),
        "0<3 1<3 4<5 4<6 4|7",
    ),
    "a task runs between its submit and its done": (
        "mark; host_task_submit t w=h; mark; host_task_done t; mark",
        "0<1 1|2 1<4 1<3",
    ),
    "tasks are apart from each other": (
        "host_task_submit t; host_task_submit u; host_task_done t; host_task_done u; mark",
        "0|1 0<4 1<4",
    ),
    "whoever sees a task done is after it": (
        "host_task_submit t; T2: host_task_done t; T2: mark; mark",
        "0<2 0|3",
    ),
    "an agent is set off after the host, which goes on": (
        "mark; host_read h agent=nic; mark; host_read h agent=ipc; host_read h agent=nic",
        "0<1 1|2 1|3 1<4 2<4",
    ),
}  # fmt: skip


def _ref(text: str) -> int | tuple[int, int]:
    op, _, access = text.partition(".")
    return (int(op), int(access)) if access else int(op)


@pytest.mark.parametrize("name", CASES)
def test_a_worked_case(name: str) -> None:
    program, claims = CASES[name]
    order = HappensBefore(parse(program), engine="python")

    for claim in claims.split():
        match = re.fullmatch(r"([0-9.]+)([<|])([0-9.]+)", claim)
        assert match, claim
        a, b = _ref(match[1]), _ref(match[3])
        assert order.ordered(a, b) == (match[2] == "<"), claim
        assert not order.ordered(b, a), claim
        assert order.concurrent(a, b) == (match[2] == "|"), claim
