"""The pytest plug-in: ``pytest --streamsan`` records each test and fails it on what it finds.

Loaded in every run of everybody who has the package, so nothing but pytest is imported before
``--streamsan`` is given. Without it the markers do nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from streamsan.checkers.finding import Finding
    from streamsan.checkers.scope import Scope
    from streamsan.commands.hall.testing import Wish

_MARKERS = (
    (
        "streamsan(select, ignore, fail_on, schedules, policy): how it is recorded and judged; "
        "schedules=50: under 50 schedules of the simulated device, which must agree"
    ),
    "streamsan_expect(*codes): the test must find these hazards, and passes with them",
    "streamsan_skip(reason): this test is not recorded",
)
_KEYS = {"select", "ignore", "fail_on", "schedules", "policy"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("streamsan", "hazards of CUDA streams")
    add = group.addoption
    add("--streamsan", action="store_true", default=False,
        help="record every test, and fail it on hazards")  # fmt: skip
    add("--streamsan-device", choices=("auto", "sim", "cuda"), default="auto",
        help="where to: CUDA if there is one, else the simulated device (auto)")  # fmt: skip
    add("--streamsan-policy", metavar="SCHEDULE", default=None,
        help="the simulated device's schedule: eager, lazy, timed, random(7), "
        "replay(...)")  # fmt: skip
    add("--streamsan-baseline", metavar="FILE", help="known findings, which fail no test")
    add("--streamsan-output", metavar="DIR", help="keep the trace of each test in this folder")
    parser.addini("streamsan", "as --streamsan", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; with ``--streamsan``, the rest."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("--streamsan") or config.getini("streamsan"):
        config.pluginmanager.register(_Watch(config), "streamsan-watch")


@pytest.fixture
def streamsan_recorder() -> Callable[..., Scope]:
    """Record a part of a test, and judge it at its end.

    The findings are in ``part.report`` afterwards::

        with streamsan_recorder() as part: ...

    Takes what ``streamsan.check`` takes, and raises HazardError at the end of the part. A test
    that uses it is not recorded as a whole.
    """
    from streamsan.checkers.scope import check

    return check


class _Watch:
    """Records tests; there only with ``--streamsan``."""

    def __init__(self, config: pytest.Config) -> None:
        from streamsan.commands.hall import testing
        from streamsan.traces.errors import StreamsanError

        self._testing = testing
        self._policy: str | None = config.getoption("--streamsan-policy")
        folder, known = (
            config.getoption("--streamsan-output"), config.getoption("--streamsan-baseline"),
        )  # fmt: skip
        self._folder = None if folder is None else Path(folder).absolute()
        self.device = "none"
        try:
            self._known = self._read(known)
            if not _is_controller(config):
                self.device = testing.start_device(str(config.getoption("--streamsan-device")))
        except StreamsanError as error:
            raise pytest.UsageError(f"streamsan: {error}") from None

    @staticmethod
    def _read(path: str | None) -> Any:
        from streamsan.checkers.policy import baseline

        return None if path is None else baseline.read(path)

    def pytest_report_header(self) -> str:
        """Say where tests are recorded."""
        names = {"sim": "the simulated device", "cuda": "CUDA", "none": "the workers' devices"}
        return f"streamsan: recording on {names[self.device]}"

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run a test under a record, and judge it."""
        wish = _wish(pyfuncitem, self._policy)
        if wish is None:
            return (yield)
        if self.device == "cuda":
            return (yield from self._on_cuda(pyfuncitem, wish))
        return (yield from self._on_sim(pyfuncitem, wish))

    def _on_cuda(self, item: pytest.Function, wish: Wish) -> Generator[None, object, object]:
        import tempfile

        import streamsan

        with tempfile.TemporaryDirectory(prefix="streamsan-") as folder:
            recording = streamsan.record(Path(folder) / "test.trace.jsonl")
            recording.start()
            try:
                result = yield
            except BaseException:
                recording.stop()
                self._judge(item, wish, recording.trace(), failed=True)
                raise
            recording.stop()
            self._judge(item, wish, recording.trace(), failed=False)
        return result

    def _on_sim(self, item: pytest.Function, wish: Wish) -> Generator[None, object, object]:
        from streamsan import sim
        from streamsan.sim.device.errors import ScheduleError

        values = self._testing.observed()
        values.clear()
        run: Any = None
        try:
            with sim.session(wish.policy) as run:
                result = yield
        except ScheduleError as error:
            pytest.fail(f"streamsan: {error}", pytrace=False)
        except BaseException:
            if run is not None and run.trace is not None:
                self._judge(item, wish, run.trace, failed=True)
            raise
        first = self._testing.Seen(wish.policy, schedule=run.schedule)
        first.values = {name: list(each) for name, each in values.items()}
        if wish.others:
            self._under_schedules(item, wish, first)
        if run.trace is not None:
            self._judge(item, wish, run.trace, failed=False)
        return result

    def _under_schedules(self, item: pytest.Function, wish: Wish, first: Any) -> None:
        """Run the test again under other schedules; fail it where one shows something else."""
        import inspect

        names = inspect.signature(item.obj).parameters
        arguments = {name: item.funcargs[name] for name in names if name in item.funcargs}
        for policy in wish.others:
            seen, _, _ = self._testing.run_under(policy, lambda: item.obj(**arguments))
            words = self._testing.difference(first, seen)
            if words is not None:
                item.user_properties.append(("streamsan", "schedule"))
                pytest.fail(
                    f"streamsan: the outcome depends on the schedule\n{words}\n"
                    f"replay: pytest --streamsan '--streamsan-policy={seen.schedule}' "
                    f"'{item.nodeid}'",
                    pytrace=False,
                )

    def _judge(self, item: pytest.Function, wish: Wish, trace: Any, *, failed: bool) -> None:
        """Fail a test that passed; a failing one keeps its own failure, and gets a section."""
        from streamsan.checkers.reports.plain import report_text
        from streamsan.traces.errors import StreamsanError

        try:
            kept = (
                None if self._folder is None
                else self._testing.keep(trace, self._folder, item.nodeid)
            )  # fmt: skip
            findings = self._testing.judge_trace(trace, wish, self._known)
        except StreamsanError as error:
            pytest.fail(f"streamsan: {error}", pytrace=False)
        bad, missing = self._testing.split(findings, wish.expect)
        for code in sorted({each.rule for each in findings}):
            item.user_properties.append(("streamsan", code))
        text = report_text(bad)
        if kept is not None and text:
            text += f"\n\ntrace: {kept}"
        if failed:
            if text:
                item.add_report_section("call", "streamsan", text)
            return
        if bad:
            pytest.fail(f"{_count(bad)}\n\n{text}", pytrace=False)
        if missing:
            pytest.fail(f"streamsan: expected but not found: {' '.join(missing)}", pytrace=False)


def _count(bad: list[Finding]) -> str:
    return "streamsan: 1 hazard" if len(bad) == 1 else f"streamsan: {len(bad)} hazards"


def _is_controller(config: pytest.Config) -> bool:
    """Whether xdist's workers run the tests, and this process none."""
    spread = getattr(config.option, "dist", "no") != "no" or bool(getattr(config.option, "tx", ()))
    return spread and not hasattr(config, "workerinput")


def _wish(item: pytest.Function, policy: str | None) -> Wish | None:
    """Read the markers of a test; None where it is not to be recorded."""
    from streamsan.commands.hall.testing import FIRST, Wish, policies

    skip = item.get_closest_marker("streamsan_skip")
    if skip is not None:
        if not (skip.kwargs.get("reason") or skip.args):
            pytest.fail("streamsan_skip needs a reason", pytrace=False)
        return None
    if "streamsan_recorder" in item.fixturenames:
        return None
    given: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("streamsan"))):  # the nearest one wins
        given.update(marker.kwargs)
        if marker.args or not set(marker.kwargs) <= _KEYS:
            wrong = ", ".join(map(repr, [*marker.args, *(set(marker.kwargs) - _KEYS)]))
            pytest.fail(f"the marker streamsan takes {sorted(_KEYS)}, not {wrong}", pytrace=False)
    for key in ("select", "ignore"):
        if key in given:
            given[key] = tuple(_listed(given[key]))
    expect = [code for marker in item.iter_markers("streamsan_expect") for code in marker.args]
    count = given.pop("schedules", 1)
    first = given.get("policy", FIRST[0])
    if policy is None:
        others = [each for each in policies(count) if each != first] if count > 1 else []
    elif count > 1:
        others = [policy]  # the replay of a run that disagreed with the first
    else:
        others, given["policy"] = [], policy
    return Wish(**given, others=tuple(others), expect=tuple(expect))


def _listed(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (part.strip() for part in value.split(","))
    elif isinstance(value, list | tuple):
        yield from map(str, value)
