"""A plain eager transformer that decodes: what an engine without fused kernels launches."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_VOCABULARY = 1024
_BASE = 10_000.0
_EPSILON = 1e-6


@dataclass(frozen=True)
class Sizes:
    """Sizes of the model."""

    layers: int = 4
    width: int = 2048
    heads: int = 16
    batch: int = 16
    context: int = 512
    dtype: torch.dtype = torch.bfloat16

    @property
    def head(self) -> int:
        """The width of a head."""
        return self.width // self.heads


class Decoder:
    """A stack of layers with rotary positions, a cache of keys and values, and a gated MLP."""

    def __init__(self, device: str, sizes: Sizes) -> None:
        self.sizes = sizes
        self._device = device
        width = sizes.width
        self._embedding = self._draw(_VOCABULARY, width)
        self._layers = [_Layer(self, sizes) for _ in range(sizes.layers)]
        self._head = self._draw(width, _VOCABULARY)
        half = torch.arange(0, sizes.head, 2, dtype=torch.float32) / sizes.head
        turns = torch.outer(torch.arange(sizes.context, dtype=torch.float32), _BASE**-half)
        self._cos = torch.cat([turns.cos(), turns.cos()], -1).to(sizes.dtype).to(device)
        self._sin = torch.cat([turns.sin(), turns.sin()], -1).to(sizes.dtype).to(device)

    def _draw(self, *shape: int) -> torch.Tensor:
        drawn = torch.randn(shape, dtype=self.sizes.dtype, device=self._device)
        return drawn.div_(shape[0] ** 0.5)

    def step(self, tokens: torch.Tensor, position: int) -> torch.Tensor:
        """Give the next token of each sequence: ``[batch]``. The host waits for nothing."""
        states = self._embedding[tokens]
        cos, sin = self._cos[position], self._sin[position]
        for layer in self._layers:
            states = layer.run(states, position, cos, sin)
        return torch.argmax(normed(states) @ self._head, -1)


class _Layer:
    """One layer, in plain ops."""

    def __init__(self, decoder: Decoder, sizes: Sizes) -> None:
        draw, width = decoder._draw, sizes.width  # noqa: SLF001 - one module
        self._sizes = sizes
        self._query, self._key, self._value, self._out = (draw(width, width) for _ in range(4))
        self._gate, self._up = draw(width, 2 * width), draw(width, 2 * width)
        self._down = draw(2 * width, width)
        shape = (sizes.batch, sizes.heads, sizes.context, sizes.head)
        self._keys, self._values = (
            torch.zeros(shape, dtype=sizes.dtype, device=self._out.device) for _ in range(2)
        )

    def run(
        self, states: torch.Tensor, position: int, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Carry the states of one token of each sequence through the layer."""
        states = states + self._attend(normed(states), position, cos, sin)
        inner = normed(states)
        gate = inner @ self._gate
        return states + (torch.sigmoid(gate) * gate * (inner @ self._up)) @ self._down

    def _attend(
        self, states: torch.Tensor, position: int, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        heads = (self._sizes.batch, self._sizes.heads, self._sizes.head)
        query = turned((states @ self._query).view(heads), cos, sin)
        key = turned((states @ self._key).view(heads), cos, sin)
        self._keys[:, :, position].copy_(key)
        self._values[:, :, position].copy_((states @ self._value).view(heads))
        seen = position + 1
        scores = query.unsqueeze(2) @ self._keys[:, :, :seen].transpose(2, 3)
        weights = torch.softmax(scores * self._sizes.head**-0.5, -1)
        mixed = weights @ self._values[:, :, :seen]
        return mixed.reshape(self._sizes.batch, self._sizes.width) @ self._out


def normed(states: torch.Tensor) -> torch.Tensor:
    """Give states of root mean square 1."""
    return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + _EPSILON)


def turned(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn queries or keys by their position."""
    half = states.shape[-1] // 2
    rotated = torch.cat([-states[..., half:], states[..., :half]], -1)
    return states * cos + rotated * sin
