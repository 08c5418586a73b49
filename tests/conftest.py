"""Settings that hold for every test."""

from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: the time of one example says nothing on a shared machine. The blob makes a failure
# that was found elsewhere repeatable here.
settings.register_profile("streamsan", deadline=None, print_blob=True)
settings.load_profile("streamsan")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew")


class Golden:
    """Compares whole outputs with the files of ``tests/golden``, or writes these anew."""

    def __init__(self, update: bool) -> None:
        self.update = update

    def __call__(self, name: str, text: str) -> None:
        path = GOLDEN / name
        if self.update:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        assert text == path.read_bytes().decode(), f"tests/golden/{name}; see --update-golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--update-golden")))
