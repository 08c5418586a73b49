"""Calls of torch that copy, index and read: which of them wait?"""

from __future__ import annotations

import torch

from validation.questions.given import Question, assigns, returns, unknown, waits, zero
from validation.questions.making import MAKING, MEMORY

COPIES: list[Question] = [
    *waits("section 5", **{
        "torch.tensor(list, device=D)": lambda g: torch.tensor([1, 2, 3], device=g.d),
    }),
    *unknown(**{
        "torch.tensor(number, device=D)": lambda g: torch.tensor(3.0, device=g.d),
        "torch.tensor(numpy array, device=D)": lambda g: torch.tensor(g.cpu.numpy(), device=g.d),
        "torch.as_tensor(list, device=D)": lambda g: torch.as_tensor([1, 2, 3], device=g.d),
        "torch.as_tensor(numpy array, device=D)":
            lambda g: torch.as_tensor(g.cpu.numpy(), device=g.d),
        "x.new_tensor(list)": lambda g: g.x.new_tensor([1, 2, 3]),
        "x.to('cpu', non_blocking=True) of columns":
            lambda g: g.grid[:, 1:3].to("cpu", non_blocking=True),
        "x.to('cpu', float64, non_blocking=True)":
            lambda g: g.x.to("cpu", torch.float64, non_blocking=True),
        "pageable.to(D, float64, non_blocking=True)":
            lambda g: g.cpu.to(g.d, torch.float64, non_blocking=True),
        "pinned.to(D, float64, non_blocking=True)":
            lambda g: g.pinned.to(g.d, torch.float64, non_blocking=True),
    }),
    *waits("R39", **{
        "pageable.to(D)": lambda g: g.cpu.to(g.d),
        "torch.from_numpy(a).to(D)": lambda g: torch.from_numpy(g.cpu.numpy()).to(g.d),
        "x.to('cpu')": lambda g: g.x.to("cpu"),
        "x[0] = CPU scalar tensor": assigns(lambda _: 0, lambda g: g.cpu_one),
    }),
    *returns("R40", **{
        "pageable.to(D, non_blocking=True)": lambda g: g.cpu.to(g.d, non_blocking=True),
        "x.to('cpu', non_blocking=True)": lambda g: g.x.to("cpu", non_blocking=True),
    }),
    *returns("R23", **{
        "pinned.to(D, non_blocking=True)": lambda g: g.pinned.to(g.d, non_blocking=True),
    }),
]  # fmt: skip

INDEXING: list[Question] = [
    *unknown(**{
        "x[0] = 0.0": assigns(lambda _: 0, zero),
        "x[2:9] = 0.0": assigns(lambda _: slice(2, 9), zero),
        "x[list] = 0.0": assigns(lambda _: [3, 1, 2], zero),
        "x[index] = 0.0": assigns(lambda g: g.idx, zero),
        "x[CPU index] = 0.0": assigns(lambda g: g.cpu_idx, zero),
        "x[mask] = 0.0": assigns(lambda g: g.mask, zero),
        "x[CPU mask] = 0.0": assigns(lambda g: g.cpu_mask, zero),
        "x[index] = CPU scalar tensor": assigns(lambda g: g.idx, lambda g: g.cpu_one),
        "x[list]": lambda g: g.x[[3, 1, 2]],
        "x[CPU index]": lambda g: g.x[g.cpu_idx],
        "x[CPU mask]": lambda g: g.x[g.cpu_mask],
        "x[device scalar tensor]": lambda g: g.x[g.one],
        "x.index_put_((CPU index,), values)":
            lambda g: g.x.index_put_((g.cpu_idx,), g.x[:3].clone()),
        "x.fill_(CPU scalar tensor)": lambda g: g.x.fill_(g.cpu_one),
        "x + CPU scalar tensor": lambda g: g.x + g.cpu_one,
        "x.masked_fill(mask, CPU scalar tensor)": lambda g: g.x.masked_fill(g.mask, g.cpu_one),
    }),
    *returns("R2", **{
        "x[index]": lambda g: g.x[g.idx],
        "x.masked_fill_(mask, 0)": lambda g: g.x.masked_fill_(g.mask, 0.0),
        "x.index_fill_(0, index, 0)": lambda g: g.x.index_fill_(0, g.idx, 0.0),
    }),
    *waits("R41", **{
        "x[mask]": lambda g: g.x[g.mask],
        "x[: device scalar tensor]": lambda g: g.x[: g.one],
        "x[mask] = values": assigns(lambda g: g.mask, lambda g: g.x[: 1024 - 8].clone()),
    }),
]  # fmt: skip

READING: list[Question] = [
    *waits("R41", **{
        "x[0].item()": lambda g: g.x[0].item(),
        "float(x[0])": lambda g: float(g.x[0]),
        "x.tolist()": lambda g: g.x.tolist(),
        "bool(x[0])": lambda g: bool(g.x[0]),
        "x.cpu()": lambda g: g.x.cpu(),
        "x.numpy(force=True)": lambda g: g.x.numpy(force=True),
        "repr(x)": lambda g: repr(g.x),
        "x.nonzero()": lambda g: g.x.nonzero(),
        "torch.where(mask)": lambda g: torch.where(g.mask),
        "torch.masked_select(x, mask)": lambda g: torch.masked_select(g.x, g.mask),
        "torch.unique(x)": lambda g: torch.unique(g.x),
    }),
    *waits("section 5", **{
        "repeat_interleave(x, counts)": lambda g: torch.repeat_interleave(g.x[:3], g.idx),
    }),
    *returns("section 5", **{
        "repeat_interleave(x, counts, output_size=6)":
            lambda g: torch.repeat_interleave(g.x[:3], g.idx, output_size=6),
    }),
    *unknown(**{
        "torch.unique_consecutive(x)": lambda g: torch.unique_consecutive(g.x),
        "torch.equal(x, x.clone())": lambda g: torch.equal(g.x, g.x.clone()),
        "torch.allclose(x, x)": lambda g: torch.allclose(g.x, g.x.clone()),
        "torch.bincount(index)": lambda g: torch.bincount(g.idx),
        "one_hot(index)": lambda g: torch.nn.functional.one_hot(g.idx),
        "one_hot(index, 4)": lambda g: torch.nn.functional.one_hot(g.idx, 4),
        "torch.multinomial(x, 2)": lambda g: torch.multinomial(g.x, 2),
        "torch.randperm(64, device=D)": lambda g: torch.randperm(64, device=g.d),
    }),
]  # fmt: skip

QUESTIONS: tuple[Question, ...] = (*COPIES, *INDEXING, *READING, *MAKING, *MEMORY)
