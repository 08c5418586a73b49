"""Loaded by Python itself at its start: waits for torch, then begins the recording."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


class _Torch(importlib.abc.MetaPathFinder):
    """Finds torch as the others do, and acts once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Give torch's own place, with our step after its loading."""
        del path, target
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            plain = loader.exec_module

            def load(module: ModuleType) -> None:
                plain(module)
                _begin()

            loader.exec_module = load
        return spec


def _begin() -> None:
    """Import streamsan, from where it is said to be if Python does not find it."""
    home = os.environ.get("STREAMSAN_HOME")
    if home and importlib.util.find_spec("streamsan") is None:
        sys.path.append(home)
    from streamsan.traces.recorder.startup.begin import begin

    begin()


def _is_ours(folder: str) -> bool:
    """Whether a folder holds this very file: under another name, too, as editable installs do."""
    try:
        return Path(folder or ".", "sitecustomize.py").samefile(__file__)
    except OSError:
        return False


def _next_one() -> None:
    """Load the sitecustomize that this one stands before."""
    rest = [each for each in sys.path if not _is_ours(each)]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


if os.environ.get("STREAMSAN_RECORD") and "torch" not in sys.modules:
    sys.meta_path.insert(0, _Torch())
_next_one()
