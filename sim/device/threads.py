"""The order of host threads: starts, joins, and what one hands another.

A hand-over through ``queue.Queue``, ``threading.Event`` or a future orders the two threads
(R50); without it in the record, correct programs with workers would look racy.
"""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

from streamsan.sim.device.runtime import RT
from streamsan.traces import ops as o

_HELD = "_simcuda_token"
_active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]  # noqa: SLF001


def watch() -> None:
    """Replace the methods by which threads order each other."""
    thread: Any = threading.Thread
    thread.start = _started(threading.Thread.start)
    thread.join = _joined(threading.Thread.join)
    event: Any = threading.Event
    event.set = _before(threading.Event.set)
    event.wait = _after(threading.Event.wait, bool)
    event.is_set = _after(threading.Event.is_set, bool)
    future: Any = futures.Future
    future.set_result = _before(futures.Future.set_result)
    future.result = _after(futures.Future.result, lambda _: True)
    fifo: Any = queue.Queue
    fifo._put = _put(queue.Queue._put)  # noqa: SLF001
    fifo._get = _get(queue.Queue._get)  # noqa: SLF001


def signal(token: str) -> None:
    """Record that what the thread did so far precedes the awaits of a token."""
    if threading.get_ident() not in _active:
        return  # a thread that is not yet known to Python, in the middle of its start
    with RT.lock:
        host = RT.hosts.here()
        RT.recorder.add(o.Signal(token=token, thread=host.name, site=RT.site(host)))


def await_(token: str) -> None:
    """Record that what the thread does from here on follows a token's signal."""
    with RT.lock:
        host = RT.hosts.here()
        RT.recorder.add(o.Await(token=token, thread=host.name, site=RT.site(host)))


def fresh() -> str:
    """Give a token of its own."""
    with RT.lock:
        return RT.name("k")


def _started(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def start(self: threading.Thread) -> None:
        with RT.lock:
            host = RT.hosts.of(self)
            here = RT.hosts.here()
            RT.recorder.add(o.ThreadStart(target=host.name, thread=here.name, site=RT.site(here)))
        plain(self)

    return start


def _joined(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def join(self: threading.Thread, timeout: float | None = None) -> None:
        plain(self, timeout)
        generation, host = self.__dict__.get("_simcuda_host", (-1, None))
        if generation == RT.hosts.generation and not self.is_alive():
            with RT.lock:
                here = RT.hosts.here()
                RT.recorder.add(
                    o.ThreadJoin(target=host.name, thread=here.name, site=RT.site(here))
                )

    return join


def _token(owner: Any) -> str:
    """Give an object's token of this run."""
    epoch: int | None
    token: str
    epoch, token = owner.__dict__.get(_HELD, (None, ""))
    if epoch != RT.epoch:
        token = fresh()
        owner.__dict__[_HELD] = (RT.epoch, token)
    return token


def _before(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Signal, then let the method do its work."""

    @functools.wraps(plain)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() in _active:
            signal(_token(self))
        return plain(self, *args, **kwargs)

    return method


def _after(plain: Callable[..., Any], told: Callable[[Any], bool]) -> Callable[..., Any]:
    """Let the method do its work, then await if it told of the signal."""

    @functools.wraps(plain)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = plain(self, *args, **kwargs)
        if told(result) and _HELD in self.__dict__:
            await_(_token(self))
        return result

    return method


class _Carried:
    """An item of a queue, with the token of its hand-over."""

    __slots__ = ("item", "token")

    def __init__(self, item: Any, token: str) -> None:
        self.item = item
        self.token = token


def _put(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Give each item the token of its hand-over."""

    @functools.wraps(plain)
    def put(self: queue.Queue[Any], item: Any) -> None:
        token = fresh()
        signal(token)
        plain(self, _Carried(item, token))

    return put


def _get(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Await the token of the item that was taken."""

    @functools.wraps(plain)
    def get(self: queue.Queue[Any]) -> Any:
        carried = plain(self)
        if not isinstance(carried, _Carried):
            return carried  # it was put before the device was installed
        await_(carried.token)
        return carried.item

    return get
