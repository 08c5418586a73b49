"""The folder of results: a JSON file for each part, and what parts keep on their way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Folder:
    """A result folder. A file is there whole or not at all, whenever the run is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def file(self, *names: str) -> Path:
        """Give the path of a file, with its folder made."""
        found = self.path.joinpath(*names)
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def read(self, *names: str) -> Any:
        """Give what a JSON file holds; None where there is none."""
        path = self.path.joinpath(*names)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def write(self, value: Any, *names: str) -> None:
        """Write a JSON file in one go."""
        path = self.file(*names)
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
