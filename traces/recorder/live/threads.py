"""Threads of the program: each gets the dispatch mode, and hand-overs between them are ordered.

Modes are thread-local, so a new thread enters its own before it does anything. Hand-overs by
``queue.Queue``, ``threading.Event`` and futures order two threads (R50).
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent import futures
from contextlib import AbstractContextManager
from typing import Any

from streamsan.traces import ops as o
from streamsan.traces.recorder.light import light
from streamsan.traces.recorder.live.observer import Observer
from streamsan.traces.recorder.live.patches import Patches

_Signal, _Await = light(o.Signal), light(o.Await)
_ThreadStart, _ThreadJoin = light(o.ThreadStart), light(o.ThreadJoin)
Wrap = Callable[[Callable[..., Any]], Any]


class Threads:
    """Wraps the methods by which threads begin, end and order each other."""

    def __init__(
        self, observer: Observer, entering: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._observer = observer
        self._entering = entering
        self._held = f"_streamsan_token_{id(observer)}"
        self._target = f"_streamsan_name_{id(observer)}"

    def watch(self, patches: Patches) -> None:
        """Begin."""
        patches.wrap(threading.Thread, "start", self._start)
        patches.wrap(threading.Thread, "_bootstrap_inner", self._run)
        patches.wrap(threading.Thread, "join", self._join)
        patches.wrap(threading.Event, "set", self._before)
        patches.wrap(threading.Event, "wait", self._after(bool))
        patches.wrap(threading.Event, "is_set", self._after(bool))
        patches.wrap(futures.Future, "set_result", self._before)
        patches.wrap(futures.Future, "set_exception", self._before)
        patches.wrap(futures.Future, "result", self._after(lambda _: True))
        patches.wrap(queue.Queue, "_put", self._put)  # queues of other orders have their own
        patches.wrap(queue.Queue, "_get", self._get)

    def _start(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def start(thread: threading.Thread) -> None:
            name = self._observer.hosts.announce(thread)
            thread.__dict__[self._target] = name
            self._observer.emit(_ThreadStart(target=name))
            plain(thread)

        return start

    def _run(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def run(thread: threading.Thread) -> None:
            if self._target not in thread.__dict__:  # not started by the program
                plain(thread)
                return
            with self._entering():
                plain(thread)

        return run

    def _join(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def join(thread: threading.Thread, timeout: float | None = None) -> None:
            plain(thread, timeout)
            name = thread.__dict__.get(self._target)
            if name is not None and not thread.is_alive():
                self._observer.emit(_ThreadJoin(target=name))

        return join

    def _is_known(self) -> bool:
        """Whether Python knows the calling thread: in the middle of its start it does not."""
        return threading.get_ident() in threading._active  # type: ignore[attr-defined]  # noqa: SLF001

    def _before(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Signal, then let the method do its work."""

        def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if self._is_known():
                token = owner.__dict__.setdefault(self._held, self._observer.names.fresh("k"))
                self._observer.emit(_Signal(token=token))
            return plain(owner, *args, **kwargs)

        return method

    def _after(self, told: Callable[[Any], bool]) -> Wrap:
        """Let the method do its work, then await if it told of the signal."""

        def make(plain: Callable[..., Any]) -> Callable[..., Any]:
            def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
                made = plain(owner, *args, **kwargs)
                token = owner.__dict__.get(self._held)
                if token is not None and told(made):
                    self._observer.emit(_Await(token=token))
                return made

            return method

        return make

    def _put(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Give each item the token of its hand-over. The queue's own lock is held."""

        def put(owner: Any, item: Any) -> None:
            tokens = owner.__dict__.get(self._held)
            if tokens is None:  # items of before have none
                earlier: list[str | None] = [None] * len(owner.queue)
                tokens = owner.__dict__[self._held] = deque(earlier)
            token = self._observer.names.fresh("k")
            self._observer.emit(_Signal(token=token))
            plain(owner, item)
            tokens.append(token)

        return put

    def _get(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Await the token of the item that was taken."""

        def get(owner: Any) -> Any:
            item = plain(owner)
            tokens = owner.__dict__.get(self._held)
            token = tokens.popleft() if tokens else None
            if token is not None:
                self._observer.emit(_Await(token=token))
            return item

        return get
