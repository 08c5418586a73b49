"""The simulated device: torch programs run on it as they would on a CUDA device.

What stands on what, from below; nothing imports upwards:

    queues, policies    streams as queues of items; which of them runs when
    memory, hostmem     the allocators, over real bytes
    hosts, sites        threads and their current streams; Python stacks
    record              the ops of the trace
    state               a run's names, sites and streams
    allocations, work,  its memory, what it queues, what waits for it
    waits
    runtime             all of it together, under one lock: RT, the one machine
    tensor, pinned      what torch sees: wrappers on the device, watched CPU tensors
    plans, shapes       what kind of op each op is, and what its results look like
    unwrap, kernels     an op's arguments made real; what is queued for it
    launch              carrying ops out; copies, factories: those with ways of their own
    streams, module     the classes and functions of torch.simcuda
    patches, threads,   names of torch and of Python that are replaced
    backward, amp
    annotate, declared  kernels and other facts that the program declares
    gpu                 a real GPU in the same process, which is hidden
    install, session    the way in

``streamsan.sim`` is the public face.
"""
