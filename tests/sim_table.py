"""Pieces of torch, each as a function of the device that gives values to compare with the CPU."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as fn
from torch.utils.checkpoint import checkpoint as recompute

Device = str
GRID = [[0.5, -1.0, 2.0], [3.0, 0.0, -2.5]]


FEEDS: list[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = []
"""What gives a row its input, in place of a plain upload: right values, and those of before."""


def given(device: Device, values: torch.Tensor) -> torch.Tensor:
    """Give a row an input."""
    if device == "cpu":
        return values.clone()
    if not FEEDS:
        return values.to(device)
    if values.is_floating_point():
        return FEEDS[-1](values, values * -2 + 3)
    return FEEDS[-1](values, (values + 1) % (values.max() + 1))


def grid(device: Device) -> torch.Tensor:
    return given(device, torch.tensor(GRID))


def layers(device: Device, model: nn.Module, *shape: int) -> list[Any]:
    """Forward and backward of a model with weights made on the CPU."""
    torch.manual_seed(1)
    for weight in model.parameters():
        nn.init.uniform_(weight, -0.5, 0.5)
    model.to(device)
    out = model(given(device, torch.linspace(-1, 1, torch.Size(shape).numel()).view(shape)))
    out = out[0] if isinstance(out, tuple) else out
    out.pow(2).sum().backward()
    return [out.detach(), *(weight.grad for weight in model.parameters())]


def steps(device: Device, make: Callable[..., torch.optim.Optimizer], **options: Any) -> Any:
    """Three steps of an optimizer."""
    weights = [given(device, torch.full((3,), i + 1.0)).requires_grad_() for i in range(2)]
    optimizer = make(weights, lr=0.1, **options)
    for _ in range(3):
        optimizer.zero_grad()
        sum((weight * weight).sum() for weight in weights).backward()  # type: ignore[union-attr]
        optimizer.step()
    return [weight.detach() for weight in weights]


def in_place(device: Device) -> Any:
    x = grid(device)
    x[0] = 5.0
    x[:, 1] += 1
    x.t()[2].mul_(3)
    return x


def shape_in_place(device: Device) -> Any:
    x = grid(device)
    x.t_()
    x.unsqueeze_(0)
    return [x, x.shape, x.stride()]


def resized_out(device: Device) -> Any:
    out = torch.empty(0, device=device)
    torch.add(grid(device), 1, out=out)
    return out


def foreach(device: Device) -> Any:
    many = [row * 2 for row in grid(device)]
    torch._foreach_add_(many, 1.0)
    return [*many, *torch._foreach_mul(many, many)]


def checkpointed(device: Device) -> Any:
    buffer = io.BytesIO()
    torch.save({"w": grid(device)}, buffer)
    buffer.seek(0)
    return torch.load(buffer)["w"]


def inference(device: Device) -> Any:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.arange(6.0).view(2, 3))
        model.bias.zero_()
    model.to(device)
    with torch.inference_mode():
        return model(grid(device)).reshape(-1).softmax(-1)


def masked_write(device: Device) -> Any:
    x = grid(device)
    x[x > 0] = -7.0
    return x


def lengths(device: Device) -> Any:
    return torch.repeat_interleave(grid(device), index(2, 1)(device), dim=0)


def index(*values: int) -> Callable[[Device], torch.Tensor]:
    return lambda device: given(device, torch.tensor(values))


def seeded(device: Device) -> Any:
    """Random numbers differ from those of the CPU; what holds for all of them does not."""
    torch.manual_seed(3)
    drawn = torch.rand(16, device=device)
    return [(drawn >= 0).all(), (drawn < 1).all(), drawn.isnan().sum()]


def view_write(device: Device) -> Any:
    x = grid(device)
    x.view(-1)[::2].zero_()
    x.diagonal().sub_(1)
    return x


def copy_row(device: Device) -> Any:
    x = grid(device)
    x[0].copy_(x[1])
    return x


def foreach_copy(device: Device) -> Any:
    into = [torch.zeros(3, device=device) for _ in range(2)]
    torch._foreach_copy_(into, list(grid(device)))
    torch._foreach_mul_(into, [2.0, 3.0])
    return into


def index_put(device: Device) -> Any:
    x = grid(device)
    x[index(1, 0)(device), index(2, 0)(device)] = 8.0
    x.index_put_((torch.tensor([1, 1], device=device),), grid(device), accumulate=True)
    return x


def autograd_grad(device: Device) -> Any:
    x = grid(device).requires_grad_()
    return list(torch.autograd.grad((x.sigmoid() * x).sum(), x))


def double_backward(device: Device) -> Any:
    x = grid(device).requires_grad_()
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    return list(torch.autograd.grad(first.sum(), x))  # backward() would make a cycle of x


def checkpoint(device: Device) -> Any:
    x = grid(device).requires_grad_()
    recompute(lambda y: (y * y).tanh(), x, use_reentrant=False).sum().backward()
    return x.grad


def hooked(device: Device) -> Any:
    x = grid(device).requires_grad_()
    x.register_hook(lambda grad: grad * 10)
    (x * x).sum().backward()
    return x.grad


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(given)
        return given * 2

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * 2 * ctx.saved_tensors[0]


def custom_function(device: Device) -> Any:
    x = grid(device).requires_grad_()
    Twice.apply(x).sum().backward()  # type: ignore[no-untyped-call]
    return x.grad


def clipped(device: Device) -> Any:
    x = grid(device).requires_grad_()
    (x**2).sum().backward()
    norm = nn.utils.clip_grad_norm_([x], 1.0)
    return [norm, x.grad]


TABLE: dict[str, Callable[[Device], Any]] = {
    "zeros": lambda d: torch.zeros(2, 3, device=d),
    "ones": lambda d: torch.ones(2, device=d),
    "full": lambda d: torch.full((2,), 7, device=d),
    "arange": lambda d: torch.arange(1, 9, 2, device=d),
    "linspace": lambda d: torch.linspace(0, 1, 5, device=d),
    "eye": lambda d: torch.eye(3, device=d),
    "tensor": lambda d: torch.tensor([[1, 2], [3, 4]], device=d),
    "as_tensor": lambda d: torch.as_tensor([1.5, 2.5], device=d),
    "zeros_like": lambda d: torch.zeros_like(grid(d)),
    "full_like": lambda d: torch.full_like(grid(d), 3.0),
    "new_full": lambda d: grid(d).new_full((2,), 3.0),
    "new_tensor": lambda d: grid(d).new_tensor([1, 2]),
    "tril_indices": lambda d: torch.tril_indices(3, 3, device=d),
    "add": lambda d: grid(d) + grid(d),
    "scalar": lambda d: grid(d) * 2 - 1,
    "cpu_scalar": lambda d: grid(d) + torch.tensor(2.0),
    "promotion": lambda d: index(1, 2)(d).int() + 0.5,
    "compare": lambda d: grid(d) > 0,
    "where": lambda d: torch.where(grid(d) > 0, grid(d), 0.0),
    "matmul": lambda d: grid(d) @ grid(d).t(),
    "einsum": lambda d: torch.einsum("ij,kj->ik", grid(d), grid(d)),
    "sum": lambda d: grid(d).sum(0),
    "mean_std": lambda d: [grid(d).mean(), grid(d).std()],
    "max": lambda d: list(grid(d).max(1)),
    "sort": lambda d: list(grid(d).sort(1)),
    "topk": lambda d: list(grid(d).topk(2)),
    "cumsum": lambda d: grid(d).cumsum(1),
    "softmax": lambda d: grid(d).softmax(-1),
    "norm": lambda d: torch.linalg.norm(grid(d)),
    "cat": lambda d: torch.cat([grid(d), grid(d)]),
    "stack": lambda d: torch.stack([grid(d), grid(d)], 1),
    "views": lambda d: [grid(d).view(3, 2), grid(d).t(), grid(d)[:, 1:], grid(d).flatten()],
    "split": lambda d: [*grid(d).split(1), *grid(d).unbind(1), *grid(d).chunk(2)],
    "as_strided": lambda d: torch.as_strided(grid(d)[1], (2,), (2,), 1),
    "expand": lambda d: grid(d).unsqueeze(1).expand(2, 4, 3),
    "reinterpret": lambda d: grid(d).view(torch.int32),
    "offset": lambda d: grid(d)[1, 2].storage_offset(),
    "in_place": in_place,
    "shape_in_place": shape_in_place,
    "out": resized_out,
    "foreach": foreach,
    "gather": lambda d: grid(d).gather(1, index(0, 2)(d).view(2, 1)),
    "scatter": lambda d: grid(d).scatter(1, index(0, 2)(d).view(2, 1), 9.0),
    "index": lambda d: grid(d)[index(1, 0)(d)],
    "index_cpu": lambda d: grid(d)[torch.tensor([1, 0])],
    "index_select": lambda d: grid(d).index_select(1, index(2, 0)(d)),
    "index_add": lambda d: grid(d).index_add(0, index(1, 0)(d), grid(d)),
    "mask": lambda d: grid(d)[grid(d) > 0],
    "masked_write": masked_write,
    "masked_fill": lambda d: grid(d).masked_fill(grid(d) > 0, 4.0),
    "masked_select": lambda d: torch.masked_select(grid(d), grid(d) < 0),
    "nonzero": lambda d: grid(d).nonzero(),
    "unique": lambda d: torch.unique(index(3, 1, 3)(d), return_inverse=True)[1],
    "bincount": lambda d: torch.bincount(index(1, 1, 2)(d) + index(0, 1, 2)(d)),
    "repeat_interleave": lengths,
    "one_hot": lambda d: fn.one_hot(index(0, 2)(d)),
    "item": lambda d: [grid(d)[0, 0].item(), float(grid(d)[1, 0]), bool((grid(d) > 5).any())],
    "tolist": lambda d: grid(d).tolist(),
    "equal": lambda d: torch.equal(grid(d), grid(d)),
    "iterate": lambda d: [float(value) for row in grid(d) for value in row],
    "half": lambda d: grid(d).half().float(),
    "to_double": lambda d: grid(d).to(torch.float64),
    "copy_cast": lambda d: torch.zeros(2, 3, device=d).copy_(torch.ones(3, dtype=torch.int32)),
    "transposed_upload": lambda d: torch.tensor(GRID).t().to(d, non_blocking=True),
    "transposed_download": lambda d: grid(d).t().cpu(),
    "complex": lambda d: torch.view_as_real(torch.complex(grid(d), -grid(d)).conj().resolve_conj()),
    "fft": lambda d: torch.view_as_real(torch.fft.fft(grid(d))),
    "svd": lambda d: torch.linalg.svdvals(grid(d)),
    "deepcopy": lambda d: copy.deepcopy(grid(d)),
    "pickle": lambda d: pickle.loads(pickle.dumps(grid(d))),  # noqa: S301
    "save": checkpointed,
    "inference_mode": inference,
    "linear": lambda d: layers(d, nn.Linear(3, 2), 4, 3),
    "mlp": lambda d: layers(
        d, nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 1)), 2, 3
    ),
    "conv": lambda d: layers(
        d, nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)), 2, 2, 4, 4
    ),
    "attention": lambda d: layers(
        d, nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2, 3, 8
    ),
    "lstm": lambda d: layers(d, nn.LSTM(3, 4), 5, 2, 3),
    "gru": lambda d: layers(d, nn.GRU(3, 4), 5, 2, 3),
    "embedding": lambda d: fn.embedding(index(1, 0)(d), grid(d)),
    "cross_entropy": lambda d: fn.cross_entropy(grid(d), index(1, 0)(d)),
    "sdpa": lambda d: fn.scaled_dot_product_attention(*[grid(d)[None, None]] * 3, is_causal=True),
    "interpolate": lambda d: fn.interpolate(grid(d)[None], scale_factor=2),
    "sgd": lambda d: steps(d, torch.optim.SGD, momentum=0.9),
    "sgd_foreach": lambda d: steps(d, torch.optim.SGD, momentum=0.9, foreach=True),
    "adam": lambda d: steps(d, torch.optim.Adam, foreach=False),
    "adamw_foreach": lambda d: steps(d, torch.optim.AdamW, foreach=True),
    "clip": lambda d: steps(d, torch.optim.Adagrad),
    "ones_like": lambda d: torch.ones_like(grid(d), dtype=torch.int64),
    "logspace": lambda d: torch.logspace(0, 2, 3, device=d),
    "randn_seeded": seeded,
    "permute": lambda d: grid(d)[None].permute(2, 0, 1).contiguous(),
    "movedim": lambda d: grid(d)[None].movedim(0, -1).clone(),
    "narrow": lambda d: grid(d).narrow(1, 1, 2) * 2,
    "diagonal": lambda d: grid(d).diagonal() + 1,
    "unfold": lambda d: grid(d).flatten().unfold(0, 4, 2) * 2,
    "flip_roll": lambda d: [grid(d).flip(0), grid(d).roll(1, 1)],
    "tril": lambda d: [grid(d).tril(), grid(d).triu()],
    "view_write": view_write,
    "clamp_": lambda d: grid(d).clamp_(-1, 1),
    "lerp_": lambda d: grid(d).lerp_(grid(d) * 2, 0.5),
    "copy_row": copy_row,
    "foreach_lerp": lambda d: torch._foreach_lerp(list(grid(d)), list(grid(d) * 3), 0.5),
    "foreach_norm": lambda d: torch._foreach_norm(list(grid(d))),
    "foreach_copy": foreach_copy,
    "index_put": index_put,
    "index_fill": lambda d: grid(d).index_fill(1, index(0, 2)(d), -4.0),
    "index_copy": lambda d: grid(d).index_copy(0, index(1, 0)(d), grid(d) * 3),
    "scatter_add": lambda d: grid(d).scatter_add(0, index(1, 0, 1)(d).view(1, 3), grid(d)),
    "take_along": lambda d: grid(d).take_along_dim(grid(d).argsort(1), 1),
    "bucketize": lambda d: torch.bucketize(grid(d), torch.tensor([-1.0, 0.0, 1.0], device=d)),
    "argmax": lambda d: [grid(d).argmax(), grid(d).argmin(0)],
    "prod_var": lambda d: [grid(d).prod(1), grid(d).var(1)],
    "any_all": lambda d: [(grid(d) > 2).any(1), (grid(d) < 4).all(1)],
    "logsumexp": lambda d: grid(d).logsumexp(1),
    "median": lambda d: list(grid(d).median(1)),
    "amax": lambda d: list(torch.aminmax(grid(d), dim=1)),
    "bmm": lambda d: torch.bmm(grid(d)[None], grid(d).t()[None]),
    "addmm": lambda d: torch.addmm(torch.eye(2, device=d), grid(d), grid(d).t(), beta=0.5),
    "mv_outer": lambda d: [grid(d).mv(grid(d)[0]), torch.outer(grid(d)[0], grid(d)[1])],
    "solve": lambda d: torch.linalg.solve(grid(d)[:, :2], grid(d)[:, 2]),
    "cholesky": lambda d: torch.linalg.cholesky((x := grid(d)) @ x.t() + torch.eye(2, device=d)),
    "autograd_grad": autograd_grad,
    "double_backward": double_backward,
    "checkpoint": checkpoint,
    "hook": hooked,
    "custom_function": custom_function,
    "group_norm": lambda d: layers(d, nn.GroupNorm(2, 4), 2, 4, 3),
    "conv1d": lambda d: layers(d, nn.Conv1d(2, 3, 2, stride=2), 1, 2, 6),
    "conv_transpose": lambda d: layers(d, nn.ConvTranspose2d(1, 2, 2), 1, 1, 2, 2),
    "glu": lambda d: fn.glu(grid(d).repeat(1, 2)),
    "avg_pool": lambda d: fn.avg_pool1d(grid(d)[None], 2),
    "pad": lambda d: fn.pad(grid(d)[None], (1, 1), mode="reflect"),
    "mse": lambda d: fn.mse_loss(grid(d), grid(d) * 2),
    "rmsprop": lambda d: steps(d, torch.optim.RMSprop),
    "grad_norm": clipped,
}  # fmt: skip
