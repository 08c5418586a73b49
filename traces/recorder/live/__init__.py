"""Watching torch on a real device. Everything here imports torch; it is imported when recording.

- platform, cuda: what differs between devices: which tensors, whose streams, which callbacks
- plans, spans: what an op reads and writes, told once from its schema; which bytes
- names, blocks: names of streams, events and memory
- host: memory of the host: pinned, pageable
- thread: what is kept for each thread of the program
- observer: all of it together: from an op of torch to ops of the trace
- copies, waits, collectives, graphs, compiled: ops that are more than one kernel, or none of torch
- events, callbacks: torch's GPU trace
- mode, calls, host_calls, threads: the dispatch mode, and methods that no dispatcher sees
- declared: annotations of the program
- session, start, profiling: from the beginning of a recording to its end
"""
