"""``streamsan run --sim``: run a program under the simulated device, and check its trace."""

from __future__ import annotations

import argparse

from streamsan.commands import STATUS, Command
from streamsan.commands.arguments import add_report, options_of, policy, positive


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sim", action="store_true", required=True,
        help="run on the simulated device, which needs no GPU")  # fmt: skip
    add("--policy", type=policy, default="eager", metavar="P",
        help="the schedule: eager (default), lazy, random:SEED, pct:DEPTH:SEED, timed, "
        "directed:OP, replay:SCHEDULE")  # fmt: skip
    add("--devices", type=positive, default=1, metavar="N", help="GPUs to simulate (default 1)")
    add("--confirm", action="store_true",
        help="run again for each finding, its first op held back, and compare values")  # fmt: skip
    add("-o", "--output", metavar="TRACE", help="keep the trace in this file")
    add_report(parser)
    add("script", metavar="SCRIPT", help="the Python program; it may say cuda")
    add("arguments", nargs=argparse.REMAINDER, metavar="...", help="the program's own arguments")


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.child import Program
    from streamsan.checkers.reports.program import run_program

    return run_program(
        Program(
            script=arguments.script,
            arguments=tuple(arguments.arguments),
            lint=options_of(arguments),
            policy=arguments.policy,
            devices=arguments.devices,
            confirm=arguments.confirm,
            output=arguments.output,
        )
    )


COMMAND = Command(
    "run a torch program on a simulated GPU, and check it",
    _add,
    _run,
    f"{STATUS} A program that fails gives its own.",
)
