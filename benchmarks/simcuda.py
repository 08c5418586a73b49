"""How fast the simulated device takes small ops, and one step of a small transformer.

Run with ``python benchmarks/simcuda.py``. Each figure is the best of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from streamsan import sim

ROUNDS = 5
LOOPS = 2_000
KERNELS = 3


def small_ops(device: str) -> Callable[[], None]:
    """Three kernels and a view a loop, on 64 elements."""
    first, second = torch.ones(64, device=device), torch.ones(64, device=device)

    def body() -> None:
        for _ in range(LOOPS):
            total = first + second
            total.mul_(2.0)
            torch.relu(total.view(8, 8))

    return body


def decode_step(device: str) -> Callable[[], None]:
    """One token through two transformer layers."""
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval().to(device)
    token = torch.randn(1, 16, 64).to(device)

    def body() -> None:
        with torch.no_grad():
            model(token).sum().item()

    return body


def best(policy: str, make: Callable[[str], Callable[[], None]]) -> float:
    """Give the least seconds of a body under a schedule, recording on."""
    times = []
    for _ in range(ROUNDS):
        with sim.session(policy):
            body = make("simcuda")
            begin = time.perf_counter()
            body()
            torch.get_device_module("simcuda").synchronize()
            times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print the figures."""
    sim.install()
    for policy in ("eager", "lazy", "random(1)"):
        seconds = best(policy, small_ops)
        ops = LOOPS * (KERNELS + 1)
        print(
            f"small ops, {policy:10} {ops / seconds:9,.0f} ops/s {1e6 * seconds / ops:6.1f} us/op"
        )
    for policy in ("eager", "lazy"):
        print(f"decode step, {policy:8} {1e3 * best(policy, decode_step):9.1f} ms")


if __name__ == "__main__":
    main()
