"""The serial oracle: each request alone, on the CPU, its whole sequence anew for every token.

No pools, no pages, no streams, no batches: what a scheduler of any era must generate.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from streamsan.sim.scheduler.config import ServerArgs
from streamsan.sim.scheduler.model import VOCABULARY, Layer, Model, make_model
from streamsan.sim.scheduler.requests import GRAMMAR, Ask


@dataclass
class Expected:
    """What a request should get."""

    tokens: list[int] = field(default_factory=list)
    input_logprobs: list[float] = field(default_factory=list)
    output_logprobs: list[float] = field(default_factory=list)
    embedding: list[float] = field(default_factory=list)


def generate(ask: Ask, args: ServerArgs, penalised: list[int] | None = None) -> Expected:
    """Serve one request.

    Args:
        ask: the request.
        args: sizes of the model; nothing else of them matters.
        penalised: for each output from the second on, how many outputs had been put into the
            penalties by then, as places of outputs, -1 for the prompt's last token. Under
            overlap the penalties lag (path l of the specification). None: no lag.
    """
    model = make_model(args.context, args.width)
    expected = Expected()
    sequence = list(ask.prompt)
    states = run(model, ask, sequence, args.window)
    if ask.embedding:
        expected.embedding = states[-1].tolist()
        return expected
    if ask.logprobs:
        scores = (states @ model.head).log_softmax(-1)
        expected.input_logprobs = [
            scores[i, token].item() for i, token in enumerate(ask.prompt[1:])
        ]
    for step in range(ask.new_tokens):
        lag = None if penalised is None else penalised[:step]
        logits = states[-1] @ model.head - penalty(ask, expected.tokens, lag)
        logits = constrain(ask, logits, [*ask.prompt, *expected.tokens][-1])
        token = int(logits.argmax())
        expected.tokens.append(token)
        if ask.logprobs:
            expected.output_logprobs.append(logits.log_softmax(-1)[token].item())
        sequence.append(token)
        states = run(model, ask, sequence, args.window)
    return expected


def penalty(ask: Ask, tokens: list[int], lag: list[int] | None) -> torch.Tensor:
    """Give what is taken off each logit."""
    taken = torch.zeros(VOCABULARY, dtype=torch.float64)
    places = range(len(tokens)) if lag is None else lag
    for place in places:
        taken[ask.prompt[-1] if place < 0 else tokens[place]] += ask.frequency_penalty
    if len(places) < ask.min_new_tokens:
        taken[0] = float("inf")
    return taken


def constrain(ask: Ask, logits: torch.Tensor, last: int) -> torch.Tensor:
    """Mask what the grammar does not allow after a token."""
    if ask.grammar is None:
        return logits
    forbidden = torch.arange(VOCABULARY) % GRAMMAR != ask.grammar(last)
    return logits.masked_fill(forbidden, float("-inf"))


def run(model: Model, ask: Ask, sequence: list[int], window: int) -> torch.Tensor:
    """Give the last hidden states of a whole sequence: ``[tokens, width]``."""
    count = len(sequence)
    states = model.embedding[torch.tensor(sequence)] + model.position[:count]
    if ask.encoder:
        states = states + model.embedding[torch.tensor(ask.encoder)].mean(0)
    for layer, reach in zip(model.layers, (count, window), strict=True):
        states = _layer(states, layer, reach)
    return states


def _layer(states: torch.Tensor, weights: Layer, reach: int) -> torch.Tensor:
    query, key, value = (states @ weights.qkv).chunk(3, -1)
    count, width = states.shape
    seen = torch.ones(count, count, dtype=torch.bool).tril().triu(1 - reach)
    scores = (query @ key.T / width**0.5).masked_fill(~seen, float("-inf"))
    states = states + scores.softmax(-1) @ value @ weights.out
    return states + (states @ weights.up).relu() @ weights.down
