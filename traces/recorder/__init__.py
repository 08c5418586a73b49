"""Recording a torch program: what it says of itself, and what is seen of it.

    sink           who records: the simulated device, or the recorder of a real one
    annotate       names, regions and kernels that the program declares
    slots          fields whose value is deferred, resolved and used

What the program declares costs next to nothing while nobody records. Nothing here imports torch
at its top; the recorder of a real device needs it when it starts.
"""
