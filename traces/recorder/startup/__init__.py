"""Recording a program that is not changed: it begins when the program has imported torch.

Python imports a module ``sitecustomize`` when it starts, from wherever ``PYTHONPATH`` leads. The
one in this folder reads the environment::

    STREAMSAN_RECORD         the trace; ``streamsan record`` sets this and the rest
    STREAMSAN_RECORD_STACKS  frames of a stack to keep (default 24)
    STREAMSAN_RECORD_RING    keep only the last so many ops
    STREAMSAN_RECORD_PROFILE 1: run under torch.profiler
    STREAMSAN_RECORD_SETUP   module:function to call first, such as what installs simcuda
    STREAMSAN_HOME           where streamsan is found, if Python does not find it

Every process that imports torch is recorded: the first one to the trace, those that it starts to
files with their rank or process id in the name.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = str(Path(__file__).parent)
"""What ``PYTHONPATH`` has to begin with."""
