"""``streamsan record``: run a program as it is, and record it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from streamsan.commands import Command
from streamsan.commands.arguments import positive

_SETUP = "streamsan.sim.device.recording:prepare"
_SIGNALLED = 128


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-o", "--output", metavar="TRACE", default="run.trace.jsonl",
        help="the trace (default run.trace.jsonl)")  # fmt: skip
    add("--ring", type=positive, metavar="N", help="keep only the last N ops, for long runs")
    add("--stacks", type=positive, metavar="N", help="frames of a stack to keep (default 24)")
    add(
        "--profile",
        action="store_true",
        help="run under torch.profiler as well: device times, and a check that nothing is missing",
    )
    add("--sim", action="store_true", help="record on the simulated device, which needs no GPU")
    add("--environment", action="store_true",
        help="print what to export instead, for programs that are started elsewhere")  # fmt: skip
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...",
        help="the program: python script.py ..., torchrun ..., or a script")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.traces.errors import UsageError

    variables = _variables(arguments)
    if arguments.environment:
        import shlex
        import sys

        lines = (f"export {key}={shlex.quote(value)}\n" for key, value in variables.items())
        sys.stdout.write("".join(lines))
        return 0
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise UsageError("nothing to record: streamsan record -- python script.py")
    return _start(command, variables, Path(arguments.output))


def _variables(arguments: argparse.Namespace) -> dict[str, str]:
    import streamsan
    from streamsan.traces.recorder.startup import FOLDER

    before = os.environ.get("PYTHONPATH")
    found = {
        "STREAMSAN_RECORD": str(Path(arguments.output).absolute()),
        "STREAMSAN_HOME": str(Path(streamsan.__file__).parent.parent),
        "PYTHONPATH": FOLDER if not before else f"{FOLDER}{os.pathsep}{before}",
    }
    for name in ("ring", "stacks"):
        if (value := getattr(arguments, name)) is not None:
            found[f"STREAMSAN_RECORD_{name.upper()}"] = str(value)
    if arguments.profile:
        found["STREAMSAN_RECORD_PROFILE"] = "1"
    if arguments.sim:
        found["STREAMSAN_RECORD_SETUP"] = _SETUP
    return found


def _start(command: list[str], variables: dict[str, str], output: Path) -> int:
    """Run the program to its end; its exit status is the command's."""
    import subprocess
    import sys

    from streamsan.traces.errors import UsageError

    if command[0].endswith(".py"):
        command = [sys.executable, *command]
    output.unlink(missing_ok=True)  # a file that is there afterwards is this run's
    environment = {key: value for key, value in os.environ.items() if key not in _OWN} | variables
    try:
        status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}") from None
    if status < 0:
        status = _SIGNALLED - status
    if not status and not list(output.parent.glob(f"{_stem(output)}*.trace.jsonl")):
        raise UsageError("nothing was recorded: the program never imported torch")
    return status


_OWN = frozenset({
    "STREAMSAN_RECORD_OWNER", "STREAMSAN_RECORD_RING", "STREAMSAN_RECORD_STACKS",
    "STREAMSAN_RECORD_PROFILE", "STREAMSAN_RECORD_SETUP",
})  # fmt: skip
"""What a recording around this one may have left in the environment."""


def _stem(output: Path) -> str:
    return output.name.removesuffix(".trace.jsonl").removesuffix(".jsonl")


COMMAND = Command(
    "run a program and record what it does to streams, events and memory",
    _add,
    _run,
    "Exit status: the program's; 2 if it could not be recorded.",
)
