"""A transformer of two layers: full attention, then a sliding window. Float64, greedy.

The layers are plain functions on tensors, launched as one kernel each, so that a trace shows a
forward pass in as many parts as an engine with fused kernels does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

VOCABULARY = 32
_INNER = 2
"""Width of the part between ``up`` and ``down``, in widths of the model."""
_SEED = 18
_MIXING = 2.0
"""Weight of what a layer adds: one wrong key or value must show in the tokens."""


class Layer(NamedTuple):
    """The weights of one layer."""

    qkv: torch.Tensor
    out: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor


@dataclass(frozen=True)
class Model:
    """All weights: on one device, in float64."""

    embedding: torch.Tensor
    position: torch.Tensor
    layers: tuple[Layer, Layer]
    head: torch.Tensor

    def to(self, device: str) -> Model:
        """Give the same weights on another device."""
        return Model(
            self.embedding.to(device),
            self.position.to(device),
            (_moved(self.layers[0], device), _moved(self.layers[1], device)),
            self.head.to(device),
        )


def _moved(layer: Layer, device: str) -> Layer:
    return Layer(*(weight.to(device) for weight in layer))


def make_model(context: int, width: int) -> Model:
    """Draw the weights on the CPU; they are the same in every process."""
    generator = torch.Generator().manual_seed(_SEED)

    def draw(*shape: int) -> torch.Tensor:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn.div(shape[0] ** 0.5)

    layers = [
        Layer(draw(width, 3 * width), _MIXING * draw(width, width), draw(width, _INNER * width),
              _MIXING * draw(_INNER * width, width))
        for _ in range(2)
    ]  # fmt: skip
    embedding = VOCABULARY**0.5 * draw(VOCABULARY, width)
    return Model(embedding, context**0.5 * draw(context, width), (layers[0], layers[1]),
                 draw(width, VOCABULARY))  # fmt: skip


# Kernels. All that they write was allocated before.


def embed(
    ids: torch.Tensor,
    positions: torch.Tensor,
    embedding: torch.Tensor,
    position: torch.Tensor,
    states: torch.Tensor,
) -> None:
    """Write the embeddings of tokens at positions: ``[tokens, width]``."""
    known = ids[: states.shape[0]].clamp(0, VOCABULARY - 1)  # a wrong id must not stop the device
    states.copy_(embedding[known] + position[positions])


def attend(  # noqa: PLR0917 - a kernel takes what it takes
    states: torch.Tensor,
    weights: Layer,
    kv: torch.Tensor,
    locations: torch.Tensor,
    pages: torch.Tensor,
    owners: torch.Tensor,
    positions: torch.Tensor,
    window: int,
) -> None:
    """Carry the states through one layer, with paged keys and values.

    Args:
        states: ``[tokens, width]``, read and written.
        weights: of the layer.
        kv: the layer's pool, ``[slots, 2 * width]``.
        locations: the slot of each token: ``[tokens]``.
        pages: the slot of each position of each request: ``[requests, context]``.
        owners: the request of each token.
        positions: the position of each token; it sees those up to itself.
        window: how many of them at most.
    """
    width = states.shape[1]
    projected = states @ weights.qkv
    query, kv[locations] = projected[:, :width], projected[:, width:]
    keys, values = kv[pages[owners]].chunk(2, -1)
    scores = torch.einsum("tw,tpw->tp", query, keys) / width**0.5
    scores = scores.masked_fill(~visible(positions, pages.shape[1], window), float("-inf"))
    mixed = torch.einsum("tp,tpw->tw", scores.softmax(-1), values)
    states.add_(mixed @ weights.out)
    states.add_((states @ weights.up).relu() @ weights.down)


def visible(positions: torch.Tensor, context: int, window: int) -> torch.Tensor:
    """Tell which positions each token sees: ``[tokens, context]``."""
    every = torch.arange(context, device=positions.device)
    own = positions[:, None]
    return (every <= own) & (every > own - window)
