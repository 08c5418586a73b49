"""torch's own documented example on pinned memory and ``non_blocking``, from its description.

A tensor of ones goes to the device and back, both without blocking, with a long wait on the device
in between. The documentation says that the way back needs a synchronise before the host looks.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the simulated device needs torch")

from streamsan import sim  # noqa: E402
from streamsan.checkers import check  # noqa: E402


def there_and_back(*, synchronize: bool) -> bool:
    device = torch.device("simcuda")
    module = torch.get_device_module(device)
    source = torch.ones(64, 64, pin_memory=True)
    module.synchronize()
    moved = source.to(device, non_blocking=True)
    for _ in range(3):
        moved = moved * 1.0
    back = moved.to("cpu", non_blocking=True)
    if synchronize:
        module.synchronize()
    return bool((back == 1).all())


@pytest.fixture(autouse=True)
def device() -> None:
    sim.install()


def test_without_the_synchronise_it_is_caught() -> None:
    eager = sim.run(lambda: there_and_back(synchronize=False), "eager")
    lazy = sim.run(lambda: there_and_back(synchronize=False), "lazy")

    assert eager.value is True  # as on most days: nothing went wrong
    assert lazy.value is False
    (finding,) = [f for f in check(eager.trace) if f.severity == "error"]
    assert finding.rule == "SO111"
    assert finding.details["accesses"][0]["stack"][0].endswith("there_and_back")
    held = sim.run(lambda: there_and_back(synchronize=False), f"directed({finding.ops[0]})")
    assert held.value is False


def test_with_it_all_is_silent() -> None:
    for policy in ("eager", "lazy", "timed", *(f"random({seed})" for seed in range(20))):
        found = sim.run(lambda: there_and_back(synchronize=True), policy)

        assert found.value is True
        assert [f for f in check(found.trace) if f.severity == "error"] == []
