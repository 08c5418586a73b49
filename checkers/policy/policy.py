"""What holds in one run: the configuration, and what the command line puts in its place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from streamsan.checkers.finding import Severity
from streamsan.checkers.policy.config import Config, Layer
from streamsan.checkers.policy.suppress import covers
from streamsan.checkers.rule import chosen
from streamsan.checkers.settings import Settings
from streamsan.traces.errors import UsageError


@dataclass(frozen=True)
class Policy:
    """The decisions of one run.

    Args:
        config: the configuration.
        base: what else the command line says about a check.
        select: what the command line says; None where it says nothing. So do the next three.
        ignore: the same for what is left out.
        semantics: the same for the reading.
        fail_on: the same for the least severity that fails.
    """

    config: Config = field(default_factory=Config)
    base: Settings = field(default_factory=Settings)
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    semantics: Literal["default", "strict"] | None = None
    fail_on: Severity | None = None

    @property
    def threshold(self) -> Severity:
        """The least severity that fails."""
        return self.fail_on or self.config.fail_on or "error"

    def settings(self, path: str | None = None) -> Settings:
        """Give the settings of a check; of two entries for a path the later one wins.

        What a path ignores comes on top of what is ignored everywhere.
        """
        layers = [self.config.layer, *self._layers(path)]
        ignored = self.ignore if self.ignore is not None else (self.config.layer.ignore or ())
        for layer in layers[1:]:
            ignored = (*ignored, *(layer.ignore or ()))
        select = self.select if self.select is not None else _last(layers, "select", ())
        return replace(
            self.base,
            select=select,
            ignore=ignored,
            semantics=self.semantics or _last(layers, "semantics", "default"),
            hot_regions=_last(layers, "hot_regions", ()),
            switches=tuple(pair for layer in layers for pair in layer.switches or ()),
        )

    def severity(self, path: str, rule: str) -> Severity | None:
        """Give the severity that a rule has here; None leaves it as it is.

        The longest prefix wins, and of equal ones the later.
        """
        found: tuple[int, Severity] | None = None
        for layer in (self.config.layer, *self._layers(path)):
            for prefix, severity in layer.severity or ():
                weight = 0 if prefix == "ALL" else len(prefix)
                if covers(prefix, rule) and (found is None or weight >= found[0]):
                    found = (weight, severity)
        return None if found is None else found[1]

    def _layers(self, path: str | None) -> list[Layer]:
        if path is None:
            return []
        return [each.layer for each in self.config.per_path if each.matches(path)]

    @cached_property
    def root(self) -> Path:
        """The folder that paths in reports start from: the repository's, or the configuration's."""
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / ".git").exists():
                return folder
        return self.config.folder or here

    def source_of(self, file: str) -> str | None:
        """Give a recorded file's path from the root, with ``/``; None where it lies outside."""
        if file not in self._sources:
            self._sources[file] = self._find_source(file)
        return self._sources[file]

    @cached_property
    def _sources(self) -> dict[str, str | None]:
        """The answers so far: stacks name few files many times."""
        return {}

    def _find_source(self, file: str) -> str | None:
        for start, instead in self.config.path_map:
            if file.startswith(start):
                file = instead + file[len(start) :]
                break
        root, here = str(self.root), str(Path.cwd())
        wholes = [
            os.path.normpath(os.path.join(folder, file))  # noqa: PTH118 - no links resolved
            for folder in dict.fromkeys((root, here))  # a program may run in a folder below
        ]
        whole = next((path for path in wholes[::-1] if _is_file(path)), wholes[0])
        inside = whole.startswith(root.rstrip("/") + "/")
        return whole[len(root.rstrip("/")) + 1 :] if inside else None

    def check(self) -> None:
        """Refuse a selection that leaves nothing to say.

        Raises:
            UsageError: a prefix matches no rule.
        """
        settings = self.settings()
        if not chosen(settings.select, settings.ignore):
            raise UsageError("no rule is left: what is selected is ignored, too")


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113
    except ValueError:  # a zero byte
        return False


def _last(layers: list[Layer], name: str, default: object) -> Any:
    given = [getattr(layer, name) for layer in layers if getattr(layer, name) is not None]
    return given[-1] if given else default
