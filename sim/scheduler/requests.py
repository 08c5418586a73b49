"""Requests: what is asked for, and what has become of it on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Grammar = Callable[[int], int]
"""Of the last token, the remainder modulo ``GRAMMAR`` that the next one must have."""
GRAMMAR = 2


@dataclass(frozen=True)
class Ask:
    """What a client wants.

    Args:
        prompt: token ids.
        new_tokens: how many tokens to generate.
        arrives: in which iteration of the loop the request is received.
        frequency_penalty: taken off a token's logit each time it was generated.
        min_new_tokens: tokens before which the token 0, the end, is not sampled.
        grammar: constrains each token by the last one.
        logprobs: also give log-probabilities of prompt and output.
        hidden_states: also give the hidden state of each step.
        encoder: tokens of an encoder, which precede the prompt.
        embedding: give the prompt's embedding instead of tokens.
    """

    prompt: tuple[int, ...]
    new_tokens: int = 4
    arrives: int = 0
    frequency_penalty: float = 0.0
    min_new_tokens: int = 0
    grammar: Grammar | None = None
    logprobs: bool = False
    hidden_states: bool = False
    encoder: tuple[int, ...] = ()
    embedding: bool = False


@dataclass(eq=False)
class Req:
    """A request in the scheduler. Everything here is known to the host.

    ``row`` is its row of ``req_to_token``, ``slots`` its KV slots in order of position.
    ``penalised`` notes which output each penalty step took, -1 for the prompt's last token: under
    overlap it lags behind, and a serial oracle is told by how much.
    """

    rid: int
    ask: Ask
    row: int = 0
    slots: list[int] = field(default_factory=list)
    output_ids: list[int] = field(default_factory=list)
    input_logprobs: list[float] = field(default_factory=list)
    output_logprobs: list[float] = field(default_factory=list)
    hidden_states: list[list[float]] = field(default_factory=list)
    embedding: list[float] = field(default_factory=list)
    penalised: list[int] = field(default_factory=list)
    prefix: int = 0
    extend: int = 0
    committed: int = 0
    evicted: int = 0
    retracted: bool = False
    retractions: int = 0
    generation: int = 0

    @property
    def fill_ids(self) -> list[int]:
        """The tokens whose KV it needs: prompt, and outputs of before a retraction."""
        return [*self.ask.prompt, *self.output_ids]

    @property
    def finished(self) -> bool:
        """Whether it has what it asked for."""
        return bool(self.embedding) or len(self.output_ids) >= self.ask.new_tokens

    @property
    def chunked(self) -> bool:
        """Whether more of its prompt is left to prefill."""
        return self.prefix + self.extend < len(self.fill_ids)

    @property
    def last_token(self) -> int:
        """The latest token that the host knows of."""
        return self.output_ids[-1] if self.output_ids else self.ask.prompt[-1]
