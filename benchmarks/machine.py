"""The abstract machine: states a second, what reduction saves, and one finding in a long trace.

    python benchmarks/machine.py             # named programs, and a trace of 100,000 ops
    python benchmarks/machine.py --ops 0     # the named programs only

A linear extension is one order of all steps (starts and ends of actions) that the program allows.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from streamsan.sim.machine import Judge, Program, compile_trace, explore, explore_random
from streamsan.sim.machine.state import enabled, initial, step
from streamsan.traces.text import parse

PROGRAMS = {
    "race of two": "s1: launch w=a; s2: launch r=a",
    "three streams": (
        "s1: launch w=a; s1: launch r=b; s2: launch r=a w=b; s3: launch w=c; s3: launch r=c"
    ),
    "four independent chains": "\n".join(
        f"s{i}: launch w=b{i}; s{i}: launch r=b{i} w=c{i}; s{i}: launch r=c{i}" for i in range(4)
    ),
    "staging refilled, 2 steps": "malloc h pinned 64\n"
    + "write h; s: memcpy h -> d[0:64]; s: launch r=d[0:64] w=o; t: launch r=o\n" * 2,
    "staging fenced, 3 steps": "malloc h pinned 64\n"
    + (
        "write h; s: memcpy h -> d[0:64]; s: record e; s: launch r=d[0:64] w=o; s: record f; "
        "t: wait f; t: launch r=o; t: record g; s: wait g; sync e\n"
    )
    * 3,
    "block handed on": (
        "malloc x 64 caching stream=s1 address=A; s2: launch w=x; record_stream x s2; free x\n"
        "malloc y 64 caching stream=s1 address=A; s1: launch w=y; s1: launch r=y"
    ),
    "two ranks": "\n".join(
        f"r{r}/p{r}: collective g ranks=r0,r1 seq=1 rank=r{r} w=w{r}; q{r}: launch r=w{r}"
        for r in range(2)
    ),
}
BOUND = 100_000
STEP = "s1: launch w=f; s1: record e; s2: wait e; s2: launch r=f; s2: record g; s1: wait g\n"
IN_A_STEP = 6


def linear_extensions(program: Program) -> int:
    """Count the orders of all steps, joining what has come equally far."""
    level = Counter({initial(program): 1})
    total = 0
    while level:
        following = Counter()
        for state, ways in level.items():
            lines = enabled(program, state)
            total += 0 if lines else ways
            for line in lines:
                following[step(program, state, line)] += ways
        level = following
    return total


def named() -> None:
    """Compare search with and without reduction on the named programs."""
    print(f"{'program':26} {'linear ext.':>12} {'all: states':>12} {'/s':>7} "
          f"{'reduced: schedules':>19} {'choices':>8} {'s':>6} {'outcomes':>9}")  # fmt: skip
    for name, text in PROGRAMS.items():
        trace = parse(text)
        orders = linear_extensions(compile_trace(trace, watch=()))
        begin = time.perf_counter()
        whole = explore(trace, reduce=False, max_states=BOUND)
        middle = time.perf_counter()
        small = explore(trace, max_states=BOUND)
        end = time.perf_counter()
        rate = whole.states / (middle - begin)
        more = "" if whole.complete else "+"
        print(f"{name:26} {orders:12.4g} {whole.states:>11}{more or ' '} {rate:7.0f} "
              f"{small.schedules:19} {small.states:8} {end - middle:6.3f} "
              f"{len(small.found):9}")  # fmt: skip


def by_chance() -> None:
    """Measure runs by chance."""
    trace = parse(PROGRAMS["staging fenced, 3 steps"])
    program = compile_trace(trace)
    begin = time.perf_counter()
    explore_random(program, 1000)
    print(f"random: {1000 / (time.perf_counter() - begin):.0f} runs/s of {program.size} actions")


def one_finding(ops: int) -> None:
    """Confirm one race near the end of a long trace, and ten more with the same judge."""
    steps = ops // IN_A_STEP - 1
    trace = parse(STEP * steps + "s1: launch w=a; s2: launch r=a\n" + STEP)
    pair = (steps * IN_A_STEP, steps * IN_A_STEP + 1)
    begin = time.perf_counter()
    judge = Judge(trace)
    verdict = judge.pair(*pair)
    middle = time.perf_counter()
    for _ in range(10):
        judge.pair(*pair)
    each = (time.perf_counter() - middle) / 10
    print(f"one finding in {len(trace)} ops: {verdict.reason} in {middle - begin:.2f} s, "
          f"each further one {each:.2f} s")  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=100_000)
    given = parser.parse_args()
    named()
    by_chance()
    if given.ops:
        one_finding(given.ops)


if __name__ == "__main__":
    main()
