"""Times the programs under torch's sanitizer, in a process that never recorded: a script.

    python overhead_worker.py DIR SECONDS

Either tool leaves callbacks behind, which the other one would pay for. The rows go into
``DIR/overhead_sanitizer.json``.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from validation.folder import Folder
from validation.overhead.bodies import bodies
from validation.overhead.rows import all_rows, portion
from validation.overhead.tools import Sanitizer, nothing
from validation.part import Context

RESULT = "overhead_sanitizer.json"
_PLAIN = 0.1


def main() -> None:
    """Time nothing first, then the sanitizer."""
    folder, seconds = Folder(Path(sys.argv[1])), float(sys.argv[2])
    until = time.monotonic() + seconds
    context, programs = Context("cuda", folder), bodies("cuda")
    plain = all_rows(context, programs, [nothing("cuda")], portion(until, _PLAIN))
    rows = [{**row, "tool": f"{row['tool']}, in the sanitizer's process"} for row in plain]
    sanitizer = Sanitizer()
    rows += all_rows(context, programs, [sanitizer.tool()], until)
    folder.write({"rows": rows, "reports": dict(Counter(sanitizer.errors))}, RESULT)


if __name__ == "__main__":
    main()
