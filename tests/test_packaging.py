"""The repository root is the package: these tests keep the two from drifting apart."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import streamsan

ROOT = Path(__file__).resolve().parent.parent
ROOT_MODULES = {"__init__.py", "__main__.py", "cli.py", "pytest_plugin.py"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages_below(folder: Path, name: str) -> set[str]:
    """Name the package of a folder and, recursively, those inside it."""
    found = {name}
    for child in folder.iterdir():
        if (child / "__init__.py").is_file():
            found |= packages_below(child, f"{name}.{child.name}")
    return found


def test_the_listed_packages_are_the_folders_with_an_init(pyproject: dict[str, Any]) -> None:
    listed = pyproject["tool"]["setuptools"]["packages"]

    assert len(listed) == len(set(listed))
    assert set(listed) == packages_below(ROOT, "streamsan")


def test_no_module_lies_outside_a_package(pyproject: dict[str, Any]) -> None:
    listed = pyproject["tool"]["setuptools"]["packages"]
    folders = {ROOT.joinpath(*package.split(".")[1:]) for package in listed}
    rooms = {package.split(".")[1] for package in listed if "." in package}

    strays = [
        path.relative_to(ROOT).as_posix()
        for room in sorted(rooms)
        for path in (ROOT / room).rglob("*.py")
        if path.parent not in folders
    ]

    assert strays == []


def test_the_root_holds_only_the_named_modules() -> None:
    # Every *.py at the root would be shipped in the wheel.
    assert {path.name for path in ROOT.glob("*.py")} == ROOT_MODULES


def test_the_tests_are_no_package() -> None:
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_the_package_is_marked_as_typed(pyproject: dict[str, Any]) -> None:
    assert (ROOT / "py.typed").is_file()
    assert "py.typed" in pyproject["tool"]["setuptools"]["package-data"]["streamsan"]


def test_every_pattern_of_package_data_finds_a_file(pyproject: dict[str, Any]) -> None:
    patterns = pyproject["tool"]["setuptools"]["package-data"]["streamsan"]

    assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []


def test_the_version_is_stated_once_in_two_places(pyproject: dict[str, Any]) -> None:
    assert streamsan.__version__ == pyproject["project"]["version"]


def test_the_base_needs_four_libraries_and_no_more(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["dependencies"] == [
        "numpy>=1.26",
        "msgspec>=0.19",
        "networkx>=3.2",
        "rich>=13",
    ]
