"""Kernels that torch has for GPUs only, and chooses for our device too: written with CPU ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Tensor = torch.Tensor


def lstm_cell(
    given: Tensor,
    hidden: Tensor,
    cx: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of an LSTM; the workspace holds the four gates."""
    gates = _biased(given, b_ih) + _biased(hidden, b_hh)
    i, f, g, o = gates.chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cy = f * cx + i * g
    return o * cy.tanh(), cy, torch.cat((i, f, g, o), -1)


def lstm_cell_backward(  # noqa: PLR0917
    grad_hy: Tensor | None, grad_cy: Tensor | None, cx: Tensor, cy: Tensor, workspace: Tensor,
    has_bias: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """The gradients of ``lstm_cell``."""
    i, f, g, o = workspace.chunk(4, -1)
    hy = torch.zeros_like(cy) if grad_hy is None else grad_hy
    tanh = cy.tanh()
    c = hy * o * (1 - tanh * tanh)
    if grad_cy is not None:
        c = c + grad_cy
    parts = (
        c * g * i * (1 - i), c * cx * f * (1 - f), c * i * (1 - g * g), hy * tanh * o * (1 - o),
    )  # fmt: skip
    gates = torch.cat(parts, -1)
    return gates, c * f, gates.sum(0) if has_bias else None


def gru_cell(
    given: Tensor,
    hidden: Tensor,
    hx: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of a GRU; the workspace holds what its gradients need."""
    ir, ii, inew = _biased(given, b_ih).chunk(3, -1)
    hr, hi, hnew = _biased(hidden, b_hh).chunk(3, -1)
    r, i = (ir + hr).sigmoid(), (ii + hi).sigmoid()
    n = (inew + r * hnew).tanh()
    return n + i * (hx - n), torch.cat((r, i, n, hx, hnew), -1)


def gru_cell_backward(
    grad_hy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients of ``gru_cell``."""
    r, i, n, hx, hnew = workspace.chunk(5, -1)
    of_i = grad_hy * (hx - n) * i * (1 - i)
    of_n = grad_hy * (1 - i) * (1 - n * n)
    of_r = of_n * hnew * r * (1 - r)
    given, hidden = torch.cat((of_r, of_i, of_n), -1), torch.cat((of_r, of_i, of_n * r), -1)
    biases = (given.sum(0), hidden.sum(0)) if has_bias else (None, None)
    return given, hidden, grad_hy * i, *biases


def _biased(gates: Tensor, bias: Tensor | None) -> Tensor:
    return gates if bias is None else gates + bias


_INSTEAD: dict[str, Callable[..., Any]] = {
    "_thnn_fused_lstm_cell": lstm_cell,
    "_thnn_fused_lstm_cell_backward_impl": lstm_cell_backward,
    "_thnn_fused_gru_cell": gru_cell,
    "_thnn_fused_gru_cell_backward": gru_cell_backward,
}


def kernel_of(func: Any, base: str) -> Any:
    """Give what runs for an op: the op itself, where the CPU has it."""
    return _INSTEAD.get(base, func)
