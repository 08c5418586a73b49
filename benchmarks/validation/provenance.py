"""The machine, its software and the commit: what every other result goes with."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from validation.part import Context, Part, Result

ROOT = Path(__file__).resolve().parent.parent.parent


def run(context: Context) -> Result:
    """Ask torch, the driver and git."""
    import torch

    rows = {
        "device": _device(context), "driver": _driver(), "CUDA": str(torch.version.cuda),
        "torch": str(torch.__version__), "python": platform.python_version(),
        "streamsan": _commit(),
        "command": f"python benchmarks/validate.py -o DIR --device {context.device} "
                   f"--tries {context.tries} --jobs {context.jobs}",
    }  # fmt: skip
    return {"good": True, "rows": rows}


def _device(context: Context) -> str:
    return str(context.module.get_device_name(0)) if context.device == "cuda" else "simcuda"


def _driver() -> str:
    """Give the driver's version, from its own file: the tools beside it may be missing."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return _asked("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    return found[0] if found else "unknown"


def _commit() -> str:
    return _asked("git", "-C", str(ROOT), "rev-parse", "HEAD")


def _asked(*command: Any) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip().split("\n")[0]


PART = Part("provenance", "what machine, what software, which commit", run, 5)
