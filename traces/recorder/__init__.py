"""Recording a torch program: what it says of itself, and what is seen of it.

What the program declares, which costs next to nothing while nobody records:

- sink: who records: the simulated device, or the recorder of a real one
- annotate: names, regions and kernels that the program declares
- slots: fields whose value is deferred, resolved and used

The way in, and the way to the file:

- record, sources: ``streamsan.record``; devices that keep a record of their own
- startup: recording a program that is not changed
- journal, light, stacks: from the program's threads to the one that writes
- growing, region: a file that is a whole trace at every moment
- ring, cut: the last ops only, and what must be said before them
- matching, checked: the check against what the profiler saw
- live: watching torch on a real device

Nothing here but ``live`` imports torch; it is imported, by name, when a recording starts.
"""
