"""The simulated device in a GPU build of torch: the GPU is hidden, and never silently missed.

Such a build is made believe where there is none: ``torch.version.cuda`` is all that is asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

GPU_BUILD = """
import os
import torch

torch.version.cuda = torch.version.cuda or "13.0"
torch.cuda.is_available, torch.cuda.device_count = (lambda: True), (lambda: 1)
from streamsan import sim
"""


def run(code: str, **environment: str) -> str:
    environment = {**os.environ, **environment}
    command = [sys.executable, "-c", GPU_BUILD + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_gpu_is_hidden_from_the_process_and_its_children() -> None:
    found = run(
        "sim.install()\n"
        "print(torch.cuda.is_available(), torch.cuda.device_count())\n"
        "print(repr(os.environ['CUDA_VISIBLE_DEVICES']))\n"
        "print((torch.ones(2, device='simcuda') + 1).tolist(), torch.simcuda.device_count())\n",
        CUDA_VISIBLE_DEVICES="0",
    )
    assert found == "False 0\n''\n[2.0, 2.0] 2\n"


def test_who_uses_the_gpu_after_all_is_told() -> None:
    uses = (
        "torch.zeros(2, device='cuda')", "torch.zeros(2).cuda()", "torch.zeros(2).to('cuda:0')",
        "torch.cuda.synchronize()", "torch.cuda.current_stream()", "torch.cuda.get_rng_state()",
    )  # fmt: skip
    found = run(
        f"sim.install()\nfor use in {uses}:\n  try: eval(use)\n"
        "  except sim.SimulationError as e: print(e)\n"
    )
    assert found.count("the GPU is hidden in this process") == found.count("\n") == len(uses)
    assert found.count("redirect_cuda") == len(uses)


def test_redirected_programs_mean_the_simulated_device() -> None:
    found = run(
        "sim.install()\nsim.redirect_cuda()\n"
        "print(torch.cuda.is_available(), torch.ones(2, device='cuda').device.type)\n"
        "torch.cuda.synchronize(); torch.cuda.get_rng_state(); torch.cuda.mem_get_info()\n"
    )
    assert found == "True cuda\n"


def test_a_process_that_uses_its_gpu_is_left_alone() -> None:
    found = run(
        "torch.cuda.is_initialized = lambda: True\n"
        "try: sim.install()\nexcept sim.SimulationError as e: print(e)\n"
        "print(torch.cuda.is_available(), os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "print(sim.is_installed(), hasattr(torch, 'simcuda'), torch.Stream.__module__)\n",
        CUDA_VISIBLE_DEVICES="0",
    )
    told, *rest = found.splitlines()
    assert told.startswith("this process uses its GPU already")
    assert rest == ["True 0", "False False torch"]


def test_rocm_has_a_variable_of_its_own() -> None:
    found = run(
        "torch.version.cuda, torch.version.hip = None, '7.0'\nsim.install()\n"
        "print(os.environ['HIP_VISIBLE_DEVICES'], torch.cuda.is_available())\n"
    )
    assert found == "-1 False\n"


def test_a_cpu_build_has_nothing_to_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    from streamsan.sim.device import gpu

    before = torch.cuda._lazy_init
    gpu.hide()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert torch.cuda._lazy_init is before


def test_too_old_a_torch_is_one_line_from_the_command_line(tmp_path: Path) -> None:
    """Torch 2.9 and before have no hooks for a device in Python."""
    (tmp_path / "sitecustomize.py").write_text(
        "import torch\ndel torch._C._acc\ntorch.__version__ = '2.9.1'\n", encoding="utf-8"
    )
    (tmp_path / "program.py").write_text("print('never')", encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    for command in (["demo"], ["run", "--sim", "program.py"]):
        done = subprocess.run(
            [sys.executable, "-m", "streamsan", *command], cwd=tmp_path, capture_output=True,
            text=True, check=False, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert done.returncode == 2
        told = "the simulated device needs torch 2.10 or newer; this is 2.9.1"
        assert done.stderr == f"streamsan: error: {told}\n"
