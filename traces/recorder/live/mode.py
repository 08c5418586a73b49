"""The dispatch mode: where every op of a thread passes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils import _python_dispatch as dispatch

from streamsan.traces import recorder
from streamsan.traces.recorder.live.blocks import NO_MEMORY
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches

_HERE = str(Path(recorder.__file__).parent) + os.sep
_NO_KWARGS: dict[str, Any] = {}


_Base: Any = dispatch.TorchDispatchMode


class Mode(_Base):  # type: ignore[misc]
    """Hands each op to the observer. One for each thread."""

    def __init__(self, observer: Observer, plain: frozenset[type], profiled: bool) -> None:
        super().__init__()
        self._dispatch = observer.profiled if profiled else observer.dispatch
        self._plain = plain
        self._unwinding = observer.unwinding

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no: the wrapper that it would add costs more than all that we do."""
        return False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Say yes: what is compiled shall be compiled, and run as such, while it is recorded."""
        return True

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Carry an op out and record it; subclasses take themselves apart first."""
        if types and not self._plain.issuperset(types):
            if any(each.__name__ in NO_MEMORY for each in types):
                return func(*args, **(kwargs or _NO_KWARGS))
            if self._is_wrapper(types):
                return NotImplemented
        if self._unwinding.muted:
            self._unwinding.end()
        try:
            return self._dispatch(self, func, args, kwargs or _NO_KWARGS)
        except BaseException:
            self._unwinding.begin()
            raise

    def _is_wrapper(self, types: Sequence[type]) -> bool:
        """Whether a tensor is one that is made of others: those arrive here by themselves."""
        told = dispatch.is_traceable_wrapper_subclass_type
        return any(each not in self._plain and told(each) for each in types)


def skip_in_dynamo(patches: Patches) -> None:
    """Tell torch.compile, where it is used, to leave the functions alone that every op passes."""

    def make(plain: Any) -> Any:
        def compile_(*args: Any, **kwargs: Any) -> Any:
            made = plain(*args, **kwargs)
            _skip()
            return made

        return compile_

    patches.wrap(torch, "compile", make)
    _skip()


def _skip() -> None:
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    skip: Any = getattr(dynamo, "skip_code", None)
    if skip is not None:
        for function in _ALL:
            skip(function.__code__)
    rules = sys.modules.get("torch._dynamo.trace_rules")
    folders: Any = getattr(rules, "SKIP_DIRS", None)
    if folders is not None and _HERE not in folders:
        rules.add(recorder.__name__)  # type: ignore[union-attr]


_ALL = (Mode.__torch_dispatch__, Observer.dispatch, Observer._launch, Observer.emit)  # noqa: SLF001
