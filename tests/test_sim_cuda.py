"""Programs that say ``cuda`` on the simulated device: what works, and what is refused how.

Redirecting is for the life of a process, so each test runs a program in one of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the simulated device is made of torch")
pytestmark = pytest.mark.slow

NAMES = """
import copy, io, pickle
import torch

assert torch.cuda.is_available() and torch.cuda.is_initialized()
assert torch.cuda.device_count() == 2
assert torch.cuda.get_device_properties(0).total_memory == torch.cuda.mem_get_info()[1]
assert "simcuda" in torch.cuda.get_device_name()

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
assert device.type == "cuda" and isinstance(device, torch.device)
assert {torch.device: 1}[type(device)] == 1
assert pickle.loads(pickle.dumps(device)) == copy.deepcopy(device) == torch.device("cuda")
assert torch.device("cpu").type == "cpu" and torch.device("cuda", 1).index == 1

x = torch.arange(4.0, device="cuda")
assert x.is_cuda and x.device.type == "cuda" and x.get_device() == 0
assert x.device == torch.device("cuda:0") and x.type() == "torch.cuda.FloatTensor"
assert not x.cpu().is_cuda and x.cuda() is x
for made in (
    torch.zeros(2).cuda(), torch.zeros(2).cuda(0), torch.zeros(2).to("cuda"),
    torch.zeros(2).to("cuda:0", torch.float16, non_blocking=True), torch.zeros(2).to(device),
    torch.zeros(2).new_zeros(3, device="cuda"), torch.as_tensor([1.0], device="cuda"),
    torch.full((2,), 1.0, device=device), torch.tensor([1, 2], device="cuda"),
    torch.zeros(1, device=0), torch.cuda.FloatTensor([1.0, 2.0]), torch.rand_like(x),
    torch.zeros(2).type(torch.cuda.LongTensor), torch.zeros(2).type("torch.cuda.HalfTensor"),
    torch.randn(2, device="cuda", generator=torch.Generator(device="cuda").manual_seed(3)),
    torch.empty(2, pin_memory=True).cuda(non_blocking=True),
):
    assert made.is_cuda and made.device == torch.device("cuda", 0), made
assert isinstance(x, torch.cuda.FloatTensor) and not isinstance(x, torch.cuda.LongTensor)
with torch.device("cuda"):
    assert torch.zeros(2).is_cuda and torch.nn.Linear(2, 2).weight.is_cuda
with torch.cuda.device(1):
    assert torch.cuda.current_device() == 1
    assert torch.zeros(1).cuda().device == torch.zeros(1, device="cuda").device
    assert torch.zeros(1).to("cuda").device == torch.device("cuda:1")
torch.set_default_device("cuda")
assert torch.zeros(1).is_cuda
torch.set_default_device(None)

file = io.BytesIO()
torch.save({"x": x}, file)
for where, kind in ((None, "cuda"), ("cpu", "cpu"), ("cuda:1", "cuda")):
    file.seek(0)
    loaded = torch.load(file, map_location=where)["x"]
    assert loaded.device.type == kind and loaded.tolist() == [0.0, 1.0, 2.0, 3.0]

torch.cuda.manual_seed_all(5)
one = torch.rand(3, device="cuda")
torch.cuda.manual_seed_all(5)
assert one.tolist() == torch.rand(3, device="cuda").tolist()
state = torch.cuda.get_rng_state_all()
with torch.random.fork_rng():
    inner = torch.rand(3, device="cuda").tolist()
torch.cuda.set_rng_state_all(state)
assert torch.rand(3, device="cuda").tolist() == inner
"""
STREAMS = """
import torch

side, main = torch.cuda.Stream(), torch.cuda.current_stream()
start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
x = torch.ones(4, device="cuda")
side.wait_stream(main)
assert main == torch.cuda.default_stream() and isinstance(side, torch.cuda.Stream)
with torch.cuda.stream(side):
    assert torch.cuda.current_stream() == side != main
    start.record()
    torch.cuda._sleep(1_000_000)
    y = x * 2
    end.record()
    y.record_stream(main)
main.wait_event(end)
y += 1
torch.cuda.synchronize()
assert end.query() and start.elapsed_time(end) >= 1.0
assert isinstance(end, torch.cuda.Event) and y.tolist() == [3.0] * 4
with torch.cuda.nvtx.range("step"):
    torch.cuda.nvtx.mark("here")
assert not torch.cuda.is_current_stream_capturing()
assert torch.cuda.memory_allocated() > 0 and torch.cuda.memory.memory_reserved() > 0
assert torch.cuda.memory_summary() and torch.cuda.max_memory_allocated("cuda:0") > 0
torch.cuda.empty_cache()
assert torch.accelerator.current_accelerator().type == "cuda"
assert torch.get_device_module("cuda").current_stream() == main
assert torch.get_device_module(x.device).current_stream() == main
"""
TRAINING = """
import torch
from torch import nn

def train(device):
    torch.manual_seed(0)
    given = torch.randn(16, 4)
    wanted = given.sum(1, keepdim=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    if device == "cuda":
        model = model.cuda()
        given, wanted = given.pin_memory().cuda(non_blocking=True), wanted.to("cuda")
        assert all(p.is_cuda for p in model.parameters())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(given), wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)

torch.testing.assert_close(train("cuda"), train("cpu"))

scaler = torch.amp.GradScaler("cuda", init_scale=4.0)
weight = torch.ones(2, 2, device="cuda", requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.5)
with torch.autocast("cuda", dtype=torch.float16):
    product = weight @ weight
    assert product.dtype is torch.float16
scaler.scale(product.float().sum()).backward()
scaler.step(optimizer)
scaler.update()
assert weight.tolist() == [[-1.0, -1.0], [-1.0, -1.0]]

data = torch.utils.data.TensorDataset(torch.arange(8.0))
sums = [
    batch.cuda(non_blocking=True).sum().item()
    for (batch,) in torch.utils.data.DataLoader(data, batch_size=4, pin_memory=True)
]
assert sums == [6.0, 22.0]
"""
REFUSED = """
import torch

def refused(call, *words):
    try:
        call()
    except RuntimeError as error:
        text = str(error)
        assert type(error).__name__ == "UnsupportedError", text
        assert text.startswith("simcuda does not support ") and "\\n" not in text, text
        assert all(word in text for word in words), text
    else:
        raise AssertionError(words)

refused(torch.cuda.CUDAGraph, "torch.cuda.CUDAGraph", "eagerly")
refused(lambda: torch.cuda.graph(None), "torch.cuda.graph", "eagerly")
refused(lambda: torch.cuda.make_graphed_callables(None, ()), "make_graphed_callables")
refused(torch.cuda.cudart, "torch.cuda.cudart", "use the names of torch.cuda")
refused(torch.cuda.utilization, "torch.cuda.utilization", "no hardware")
refused(lambda: torch.cuda.use_mem_pool(None), "torch.cuda.use_mem_pool", "caching allocator")
assert torch.cuda.use_mem_pool.__wrapped__.__wrapped__  # torch 2.15's compiler takes the first
assert not isinstance(1, torch.cuda.CUDAGraph)

import torch.distributed as dist
refused(lambda: dist.init_process_group("nccl"), "init_process_group", "nccl", "gloo")
refused(lambda: dist.init_process_group(backend="cpu:gloo,cuda:nccl"), "nccl")
refused(lambda: dist.init_process_group(), "init_process_group()", "gloo")

from torch.utils import cpp_extension
source = "__global__ void kernel() {}"
refused(lambda: cpp_extension.load_inline("x", "", cuda_sources=[source]), "load_inline")
refused(lambda: cpp_extension.load_inline("x", "", source), "streamsan.sim.kernel")
refused(lambda: cpp_extension.load("x", ["a.cpp", "b.cu"]), "cpp_extension.load ")
refused(
    lambda: torch.nn.DataParallel(torch.nn.Linear(2, 2).cuda())(torch.ones(4, 2, device="cuda")),
    "DataParallel",
)
"""


@pytest.mark.parametrize(
    "text", [NAMES, STREAMS, TRAINING, REFUSED], ids=["names", "streams", "training", "refused"]
)
def test_a_program_that_says_cuda(tmp_path: Path, text: str) -> None:
    (tmp_path / "program.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable, "-m", "streamsan", "run", "--sim", "--devices", "2",
            "--select", "SO1,SO2,SO3,SO6,SO7", "program.py",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout.startswith("No findings in 1 trace"), done.stdout
    assert done.returncode == 0
