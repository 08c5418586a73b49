"""Autograd nodes: which stream each was made on.

A node says only its number, and each thread numbers from 0 on by itself: the numbers of the
thread that calls ``backward`` are looked up in its history. Nodes that ``create_graph`` makes
are made in the engine's threads; each is told its stream there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

import torch
from torch.autograd import graph

from streamsan.sim.device.queues import Queue
from streamsan.sim.device.runtime import RT

_ENDLESS = 1 << 62
"""Sequence numbers above belong to nodes that gather gradients, which have no forward."""
_MADE_ON = "simcuda_made_on"


def node_of(output: Any) -> Any:
    """Give the node that made an output, or that gathers its gradient."""
    if isinstance(output, torch.Tensor):
        if output.grad_fn is not None or not output.requires_grad:
            return output.grad_fn
        return graph.get_gradient_edge(output).node
    return getattr(output, "node", None)


def reach(roots: Iterable[Any], known: Container[Any] = ()) -> dict[Any, None]:
    """Give the nodes that lead from some, those included, as far as to known ones."""
    found = dict.fromkeys(node for node in roots if node is not None and node not in known)
    waiting = list(found)
    while waiting:
        for following, _ in waiting.pop().next_functions:
            if following is not None and following not in found and following not in known:
                found[following] = None
                waiting.append(following)
    return found


def tell(node: Any, queue: Queue) -> None:
    """Tell a node the stream that it was made on; it keeps that as long as it lives."""
    node.metadata.setdefault(_MADE_ON, (RT.hosts.generation, queue))


def made_on() -> Callable[[Any], Queue | None]:
    """Give what says which stream a node was made on; None for nodes that gather gradients."""
    history, generation = RT.hosts.history(), RT.hosts.generation
    first = RT.queue_at(0, 0)  # current before the first change

    def find(node: Any) -> Queue | None:
        number = node._sequence_nr()  # noqa: SLF001 - nothing else tells when it was made
        if number >= _ENDLESS:
            return None
        made_in, queue = node.metadata.get(_MADE_ON, (None, first))
        if made_in == generation:
            return queue  # type: ignore[no-any-return]
        return first if made_in is not None else history.queue_at(number, first)

    return find
