"""The other side of disaggregation: a node that prefills prompts, and sends what came of it.

It is another machine, so it computes on the CPU, with a pool of its own. Its memory is not part
of a trace; what it sends is.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.model import Model, attend, embed, make_model
from streamsan.sim.scheduler.reference import constrain, penalty
from streamsan.sim.scheduler.requests import Ask, Req


class Prefilled(NamedTuple):
    """What a decode node gets for a request.

    Args:
        kv: keys and values of each layer, one row for each token.
        token: the last token, which has no keys and values yet.
        topk_index: the draft's guess of the token after it; a bad one costs time only.
        hidden_states: the last hidden state.
    """

    kv: list[torch.Tensor]
    token: int
    topk_index: int
    hidden_states: list[float]


class PrefillNode:
    """Prefills one request at a time."""

    def __init__(self, args: ServerArgs) -> None:
        self.args = args
        self.model: Model = make_model(args.context, args.width)

    def prefill(self, req: Req) -> Prefilled:
        """Prefill a prompt and sample its first token; a retracted request has its last already."""
        ids = req.fill_ids[:-1] if req.output_ids else req.fill_ids
        model, states, kv = self.model, *self._run(ids)
        token = req.last_token if req.output_ids else self._sample(req.ask, states[-1])
        guess = (states[-1] + model.embedding[token]) @ model.head
        return Prefilled(kv, token, int(guess.argmax()), states[-1].tolist())

    def _run(self, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        places, width = torch.arange(len(ids)), self.args.width
        states = torch.empty(len(ids), width, dtype=torch.float64)
        embed(torch.tensor(ids), places, self.model.embedding, self.model.position, states)
        pools = [torch.zeros(len(ids), 2 * width, dtype=torch.float64) for _ in range(2)]
        reach = (self.args.context, self.args.window)
        for weights, pool, window in zip(self.model.layers, pools, reach, strict=True):
            owners = torch.zeros_like(places)
            attend(states, weights, pool, places, places[None], owners, places, window)
        return states, pools

    def _sample(self, ask: Ask, state: torch.Tensor) -> int:
        logits = state @ self.model.head - penalty(ask, [], None)
        return int(constrain(ask, logits, ask.prompt[-1]).argmax())
