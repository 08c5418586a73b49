"""Hold streamsan against a GPU: record, reproduce, measure, in one unattended run.

    python benchmarks/validate.py -o DIR                     all of it, on the GPU of this machine
    python benchmarks/validate.py -o DIR --minutes 9         stop in time; the same again goes on
    python benchmarks/validate.py -o DIR --device simcuda    a rehearsal, without a GPU

Each part leaves a JSON file in DIR, and is not run again while that file is there: a run that was
cut off goes on where it was. ``DIR/tables.md`` has the results as tables, ``DIR/traces`` the
recorded scenarios, ``DIR/log`` what the parts printed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from validation.folder import Folder
from validation.hazards.bench import Task, work
from validation.part import Context
from validation.plan import PARTS, carry_out, find, perform, prepare
from validation.tables import tables


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the result folder")
    parser.add_argument("--device", choices=("cuda", "simcuda"), default="cuda")
    parser.add_argument("--parts", metavar="NAMES", help="parts, with commas between them")
    parser.add_argument("--only", metavar="NAMES", help="scenarios, with commas between them")
    parser.add_argument("--tries", type=int, default=1000, metavar="N",
                        help="delayed runs of each fixed scenario (default: 1000)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=8, metavar="N",
                        help="processes that share the GPU in `hazards` (default: 8)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M",
                        help="begin nothing after so long; the next run goes on")  # fmt: skip
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--tasks", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run what has no result yet; 0 if every result is there and as predicted."""
    arguments = _arguments()
    seconds = arguments.minutes * 60 if arguments.seconds is None else arguments.seconds
    only = tuple(arguments.only.split(",")) if arguments.only else ()
    context = Context(
        arguments.device, Folder(Path(arguments.output)), arguments.tries, arguments.jobs, only,
        time.monotonic() + seconds,
    )  # fmt: skip
    if arguments.tasks is not None:
        prepare(context)
        work(context, [Task(*each.split(":")) for each in arguments.tasks.split(",")])
        return 0
    if arguments.part is not None:
        prepare(context)
        return 0 if perform(find(arguments.part), context) else 1
    try:
        chosen = [find(name) for name in arguments.parts.split(",")] if arguments.parts else PARTS
    except LookupError as error:
        print(f"validate.py: {error}", file=sys.stderr)
        return 2
    if not _ready(arguments.device):
        return 2
    options = ["-o", arguments.output, "--device", arguments.device, "--tries",
               str(arguments.tries), "--jobs", str(arguments.jobs)]  # fmt: skip
    if only:
        options += ["--only", arguments.only]
    done = carry_out(context, chosen, Path(__file__), options)
    context.folder.file("tables.md").write_text(tables(context.folder), encoding="utf-8")
    results = [context.folder.read(f"{part.name}.json") for part in chosen]
    bad = [result["part"] for result in results if result is not None and not result["good"]]
    print(f"see {context.folder.path / 'tables.md'}")
    if bad:
        print(f"not as predicted: {', '.join(bad)}")
    return 0 if done and not bad else 1


def _ready(device: str) -> bool:
    """Tell whether the device is there; say what is missing."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        print("validate.py: torch sees no CUDA device; rehearse with --device simcuda",
              file=sys.stderr)  # fmt: skip
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
