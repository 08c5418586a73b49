"""The configuration of a team: ``streamsan.toml``, or ``[tool.streamsan]`` in pyproject.toml.

The file is the nearest one, from the working folder upwards; in one folder ``streamsan.toml``
comes first. The command line wins over the file, the file over the defaults. A key that is not
known is an error, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from streamsan.checkers.finding import Severity
from streamsan.checkers.policy.suppress import Suppression, ends_of

Unused = Literal["ignore", "warn", "error"]
OWN, SHARED = "streamsan.toml", "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings that the whole configuration has, or some paths only; None where not given."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    semantics: Literal["default", "strict"] | None = None
    switches: tuple[tuple[str, bool], ...] | None = None
    hot_regions: tuple[str, ...] | None = None
    severity: tuple[tuple[str, Severity], ...] | None = None


@dataclass(frozen=True, slots=True)
class PerPath:
    """What holds for traces whose path, or an end of it, matches a pattern."""

    where: str
    path: str
    layer: Layer

    def matches(self, path: str) -> bool:
        """Whether a trace is meant."""
        return any(fnmatchcase(end, self.path) for end in ends_of(path))


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration; ``where`` says for each key of the file where it stands."""

    file: str | None = None
    folder: Path | None = None
    layer: Layer = Layer()
    fail_on: Severity | None = None
    baseline: str | None = None
    unused: Unused = "warn"
    path_map: tuple[tuple[str, str], ...] = ()
    per_path: tuple[PerPath, ...] = ()
    suppress: tuple[Suppression, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


def load_config(path: str | None = None, *, start: Path | None = None) -> Config:
    """Read a file, or the nearest one from a folder upwards; none at all is no error.

    Raises:
        PolicyError: the file cannot be used.
    """
    if path is not None:
        from streamsan.checkers.policy.reading import required

        return required(Path(path), path)
    for folder in _upwards(start or Path.cwd()):
        for name in (OWN, SHARED):
            file = folder / name
            if _may_be_ours(file):
                from streamsan.checkers.policy.reading import config_in

                if (found := config_in(file, _shown(file))) is not None:
                    return found
    return Config()


def _may_be_ours(file: Path) -> bool:
    """Whether a file is worth parsing: most projects' pyproject.toml does not speak of us."""
    try:
        return file.is_file() and (file.name == OWN or b"streamsan" in file.read_bytes())
    except OSError:
        return True  # reading it will say what is wrong


def _upwards(folder: Path) -> list[Path]:
    here = folder.absolute()
    return [here, *here.parents]


def _shown(file: Path) -> str:
    """Name a file from the working folder, if it lies there or above."""
    here = Path.cwd()
    if file.parent == here:
        return file.name
    if file.parent in here.parents:
        up = len(here.parts) - len(file.parent.parts)
        return "/".join([*[".."] * up, file.name])
    return str(file)
