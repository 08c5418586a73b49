"""A program under the simulated device, as a process of its own that is started by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import streamsan
from streamsan.checkers.reports.run import Options

if TYPE_CHECKING:
    import io

_CHILD = "streamsan.sim.device.script"


@dataclass(frozen=True, slots=True)
class Program:
    """What ``streamsan run`` is asked to run; ``lint`` says how to report."""

    script: str
    arguments: tuple[str, ...]
    lint: Options
    policy: str = "eager"
    devices: int = 1
    confirm: bool = False
    output: str | None = None


@dataclass(slots=True)
class Ran:
    """What came of one run: ``seen`` by host threads, and ``left`` in the program's globals."""

    status: int
    seconds: float = 0.0
    stdout: bytes = b""
    ended: bool = True
    seen: dict[str, list[list[Any]]] = field(default_factory=dict)
    left: dict[str, list[Any]] = field(default_factory=dict)


def start(
    program: Program,
    folder: str,
    *,
    policy: str,
    trace: str | None = None,
    patience: float | None = None,
) -> Ran:
    """Run the program under a schedule: with a trace as itself, else in silence."""
    values = str(Path(folder) / "values.json") if program.confirm else None
    order = {
        "policy": policy, "devices": program.devices, "values": values,
        "trace": None if trace is None else os.path.abspath(trace),  # noqa: PTH100 - it may chdir
    }  # fmt: skip
    command = [
        sys.executable, *_flags(), "-m", _CHILD, json.dumps(order), program.script,
        *program.arguments,
    ]  # fmt: skip
    begun = time.monotonic()
    ran = _quietly(command, patience) if trace is None else _aloud(command, program)
    ran.seconds = time.monotonic() - begun
    if values is not None and Path(values).exists():
        told = json.loads(Path(values).read_text(encoding="utf-8"))
        Path(values).unlink()
        ran.seen, ran.left = told["seen"], told["left"]
    return ran


def _flags() -> tuple[str, ...]:
    """Keep the working folder off the path, unless streamsan is found there only."""
    home = Path(streamsan.__file__).parent
    return () if home.parent == Path.cwd() or home == Path.cwd() / "streamsan" else ("-P",)


def _environment(program_is_compared: bool) -> dict[str, str]:
    environment = dict(os.environ)
    if program_is_compared:  # two runs must not differ by the order of a set
        environment.setdefault("PYTHONHASHSEED", "0")
    return environment


def _quietly(command: list[str], patience: float | None) -> Ran:
    """Run without input, keep standard output, drop standard error."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program
            command, env=_environment(program_is_compared=True), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=patience, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ran(status=0, ended=False)
    return Ran(_status(done.returncode), stdout=done.stdout)


def _aloud(command: list[str], program: Program) -> Ran:
    """Run as the program itself; what it prints is kept too, where runs are compared.

    Its standard output goes to standard error where the report must have the former to itself.
    """
    page = sys.stdout if program.lint.form == "text" else sys.stderr
    environment = _environment(program.confirm)
    if not program.confirm:
        done = subprocess.run(command, env=environment, stdout=page, check=False)  # noqa: S603
        return Ran(_status(done.returncode))
    parts: list[bytes] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:  # noqa: S603
        pipe = cast("io.BufferedReader", process.stdout)
        while part := pipe.read1(1 << 16):
            parts.append(part)
            _pass_on(part, page)
    return Ran(_status(process.returncode), stdout=b"".join(parts))


def _pass_on(part: bytes, page: IO[str]) -> None:
    try:
        page.buffer.write(part)  # type: ignore[attr-defined]
        page.flush()
    except (BrokenPipeError, AttributeError):
        pass  # nobody reads any more; the report is told so when its turn comes


def _status(code: int) -> int:
    """Give an exit status as shells do: 128 and the signal that killed the process."""
    return code if code >= 0 else 128 - code
