"""streamsan held against a GPU: what is recorded, ordered, raced and priced there, in numbers.

``benchmarks/validate.py`` is the command. Each part is a file, or a folder whose ``run`` is that
file; it runs in a process of its own, and leaves what it measured in one JSON file of the result
folder:

    provenance   the machine, and how the results were made
    copies       which copies make the host wait, and how long behind a long kernel
    questions    what the documents leave open, answered by trying
    suite        the programs of the simulated device's tests, on the device
    recordings   every scenario recorded: is its bug found, and is every activity an op
    clock        does a device time contradict the order
    hazards      delays placed by the findings: wrong values with the bug, none without
    costs        what a fix was predicted to save, and what it saves
    overhead     the price of recording, beside torch's own sanitizer
    endurance    thousands of steps, recorded

``part`` says what a part is, ``folder`` how results are kept, ``plan`` which parts still have to
run, ``tables`` writes the results as Markdown; ``probe`` asks what one call waits for, and
``presumed`` what streamsan says of it. Delays and probes are the scheduler's own:
``streamsan.sim.scheduler.scenarios.delays``.
"""
