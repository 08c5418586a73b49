"""Hand-written kernels: which tensors they read and write, said by the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from streamsan.sim.device.kernels import Mutation
from streamsan.sim.device.launch import queue_for
from streamsan.sim.device.runtime import RT
from streamsan.sim.device.tensor import SimTensor


def kernel(
    name: str,
    reads: Sequence[torch.Tensor] = (),
    writes: Sequence[torch.Tensor] = (),
    run: Callable[..., object] | None = None,
) -> None:
    """Queue a kernel of the program's own on the current stream.

    ``run`` stands for it: it is called with plain CPU tensors on the same bytes, first those of
    ``reads``, then those of ``writes``. Without it nothing is computed, only recorded.

    Raises:
        TypeError: a tensor is not on the simulated device.
    """
    sims = [_sim(tensor) for tensor in (*reads, *writes)]
    reals = [sim.raw for sim in sims]
    spans = [sim.span for sim in sims]
    with RT.lock:
        RT.launch(
            queue_for(sims) if sims else RT.current(),
            name,
            Mutation(run or _nothing, reals, {}),
            [span for span in spans[: len(reads)] if span is not None],
            [span for span in spans[len(reads) :] if span is not None],
        )


def _sim(tensor: torch.Tensor) -> SimTensor:
    if not isinstance(tensor, SimTensor):
        raise TypeError(f"a kernel takes tensors on simcuda, not on {tensor.device}")
    return tensor


def _nothing(*tensors: torch.Tensor) -> None:
    """Compute nothing."""
