"""The gate end to end, on a scratch repository; and what changed between two traces."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from test_outputs import SCHEMA, github_needs

from streamsan import cli
from streamsan.checkers.reports.compare import Cause, causes_of, compare, growth

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
Run = Callable[..., tuple[int, str, str]]

PROGRAM = """\
import torch


def upload(staging, target, stream):
    with torch.cuda.stream(stream):
        target.copy_(staging, non_blocking=True)


def main():
    stream = torch.cuda.Stream()
    staging = torch.zeros(1024, pin_memory=True)
    target = torch.empty(1024, device="cuda")
    for step in range(3):
        upload(staging, target, stream)
        {wait}
        staging.fill_(step)
    {more}
    torch.cuda.synchronize()


main()
"""
BUGGY = PROGRAM.format(wait="pass", more="pass")
MORE_STREAMS = BUGGY.replace("stream = torch", "torch.cuda.Stream()\n    stream = torch")
MOVED = f"# a comment\n\n\n{MORE_STREAMS}"
FIXED = PROGRAM.format(wait="stream.synchronize()", more="pass")
SECOND = PROGRAM.format(
    wait="pass",
    more="with torch.cuda.stream(stream):\n        target.add_(1)\n    print(target.sum().item())",
)
HAZARDS = "SO1,SO2,SO3,SO7"


class Scratch:
    """A repository of its own: a program, commits, and the traces that CI records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "-q")
        (folder / ".git").mkdir(exist_ok=True)

    def _git(self, *arguments: str) -> None:
        if git := shutil.which("git"):
            who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                   "GIT_COMMITTER_EMAIL": "a@b"}  # fmt: skip
            environment = {**os.environ, **who}
            subprocess.run([git, *arguments], cwd=self.folder, check=True, env=environment)

    def commit(self, program: str) -> None:
        (self.folder / "program.py").write_text(program, encoding="utf-8")
        self._git("add", "-A")
        self._git("commit", "-qm", "a change")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streamsan", *arguments],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def record(self) -> None:
        (self.folder / "traces").mkdir(exist_ok=True)
        done = self.run("run", "--sim", "-o", "traces/p.trace.jsonl", "--exit-zero", "program.py")
        assert done.returncode == 0, done.stderr

    def gate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("gate", "traces", "--select", HAZARDS, *arguments)


@pytest.mark.slow
def test_a_gate_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    scratch = Scratch(tmp_path)

    # A buggy commit fails, and every report says where.
    scratch.commit(BUGGY)
    scratch.record()
    failed = scratch.gate("--output", "sarif=s.sarif", "--output", "github=a.txt")
    assert failed.returncode == 1, failed.stderr
    assert failed.stderr.endswith("streamsan: gate: failed at severity error or above\n")
    log = json.loads((tmp_path / "s.sarif").read_text(encoding="utf-8"))
    jsonschema.validate(log, SCHEMA)
    github_needs(log)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "program.py"
    assert place["region"]["snippet"]["text"] == "staging.fill_(step)"
    assert (tmp_path / "a.txt").read_text(encoding="utf-8").startswith("::error file=program.py,")

    # The fixed commit passes.
    scratch.commit(FIXED)
    scratch.record()
    passed = scratch.gate()
    assert (passed.returncode, passed.stderr) == (0, "streamsan: gate: passed\n"), passed.stdout

    # With a baseline the old code passes, also moved and with other stream ids.
    scratch.commit(BUGGY)
    scratch.record()
    written = scratch.run("baseline", "write", "traces", "--select", HAZARDS)
    assert written.returncode == 0, written.stderr
    scratch.commit(MOVED)
    scratch.record()
    known = scratch.gate("--baseline", "streamsan-baseline.jsonl")
    assert known.returncode == 0, known.stdout
    assert "1 in the baseline" in known.stdout

    # A new finding fails, and only it is told.
    scratch.commit(SECOND)
    scratch.record()
    new = scratch.gate("--baseline", "streamsan-baseline.jsonl")
    assert new.returncode == 1, new.stdout
    assert "SO112" not in new.stdout
    assert "SO101" in new.stdout or "SO102" in new.stdout or "SO103" in new.stdout, new.stdout

    # A suppression in the code lets the buggy commit pass; on the fixed one it is unused.
    comment = "  # streamsan: ignore[SO112] values do not matter here"
    scratch.commit(BUGGY.replace("fill_(step)", f"fill_(step){comment}"))
    scratch.record()
    assert scratch.gate().returncode == 0
    scratch.commit(FIXED.replace("fill_(step)", f"fill_(step){comment}"))
    scratch.record()
    unused = scratch.gate()
    assert unused.returncode == 0
    assert "program.py:16: unused suppression of SO112 (values do not matter" in unused.stderr
    (tmp_path / "streamsan.toml").write_text('unused-suppressions = "error"\n', encoding="utf-8")
    assert scratch.gate().returncode == 1


# --- the command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return command


def example(name: str) -> str:
    return str(EXAMPLES / f"{name}.trace.jsonl")


def test_the_gate_without_a_baseline_is_lint_and_a_verdict(run: Run) -> None:
    assert run("gate", example("ring_depth1_buggy"))[0] == 1
    status, _, err = run("gate", example("ring_depth1_buggy"), "--exit-zero")
    assert (status, err) == (0, "streamsan: gate: passed\n")


def test_what_cannot_be_judged_fails_if_asked_to(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "t.trace.jsonl"
    trace.write_text('{"format": "streamsan-trace", "version": 1, "complete": {"host": false}}\n')

    assert run("gate", "t.trace.jsonl", "--ignore", "SO9")[0] == 0
    assert run("gate", "t.trace.jsonl", "--ignore", "SO9", "--strict")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "none"], "none: no such baseline; `streamsan baseline write` makes one"),
        (["--baseline", "old"], "old:1: a baseline of version 0"),
        (["--output", "sarif=-", "--format", "text"], "both go to standard output"),
        (["--baseline", "."], ".: Is a directory"),
    ],
)
def test_wrong_usage_is_one_line(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "old").write_text('{"format": "streamsan-baseline", "version": 0}\n')

    status, out, err = run("gate", example("ring_depth1_buggy"), *arguments)

    assert (status, out) == (2, "")
    assert err.startswith("streamsan: error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_suppression_in_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "streamsan.toml").write_text("""\
select = ["SO1", "SO2"]
[[suppress]]
rules = ["SO"]
reason = "the examples are meant to be wrong"
[[suppress]]
rules = ["SO101"]
buffer = "nothing has this name"
reason = "old"
""")

    status, out, err = run("gate", example("ring_depth1_buggy"))

    assert status == 0
    assert "1 suppressed." in out
    assert "streamsan.toml:5: unused suppression of SO101 (old)" in err
    text = (tmp_path / "streamsan.toml").read_text()
    (tmp_path / "streamsan.toml").write_text(f'unused-suppressions = "error"\n{text}')
    assert run("gate", example("ring_depth1_buggy"))[0] == 1
    assert run("gate", example("ring_depth1_buggy"), "--exit-zero")[0] == 0


# --- diff


def cause(mark: str, **more: object) -> Cause:
    parts = {"rule": "SO402", "name": "n", "severity": "warning", "message": "m", "times": 1,
             "costs": {}}  # fmt: skip
    return Cause(mark, **{**parts, **more})  # type: ignore[arg-type]


def test_what_is_new_gone_costlier_and_cheaper() -> None:
    old = [cause("a"), cause("b", times=3), cause("c", costs={"bytes": 8.0}), cause("e"),
           cause("f", costs={"wait_ns": 1000.0})]  # fmt: skip
    new = [cause("b", times=9), cause("c", costs={"bytes": 4.0}), cause("d"), cause("e"),
           cause("f", costs={"wait_ns": 1050.0})]  # fmt: skip

    found = compare({c.fingerprint: c for c in old}, {c.fingerprint: c for c in new})

    assert [c.fingerprint for c in found.new] == ["d"]
    assert [c.fingerprint for c in found.gone] == ["a"]
    assert [growth(a, b) for a, b in found.costlier] == ["times 3 -> 9"]
    assert [growth(a, b) for a, b in found.cheaper] == ["bytes 8 -> 4"]
    assert found.same == 2  # a time within the noise is the same


def test_costs_of_one_cause_add_up() -> None:
    finding = {"fingerprint": "a", "rule": "SO501", "count": 2, "details": {"bytes": 8, "x": 1}}

    (found,) = causes_of([finding, finding]).values()

    assert (found.times, found.costs) == (4, {"bytes": 16})


def test_diff_of_traces_and_of_results(
    run: Run, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    pair = (example("staging_missing_buggy"), example("staging_missing_fixed"))
    results = []
    for i, path in enumerate(pair):
        (tmp_path / f"{i}.json").write_text(run("lint", path, "--format", "json")[1])
        results.append(f"{i}.json")

    status, out, _ = run("diff", *pair)
    golden("diff.text", out)
    assert status == 0
    assert run("diff", *results) == (0, out, "")
    status, out, _ = run("diff", *reversed(pair), "--format", "json")
    assert status == 1
    assert [each["rule"] for each in json.loads(out)["new"]]
    assert run("diff", *reversed(pair), "--exit-zero")[0] == 0
    assert run("diff", pair[0], pair[0])[1].startswith("0 new, 0 gone, 0 costlier, 0 cheaper, ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x: No such file or directory"),
        ('{"tool": {"name": "streamsan"}', "x: no result of `streamsan lint --format json`"),
        ('{"tool": {"name": "streamsan"}, "version": 2}', "x: a result of another version"),
        ('{"tool": {"name": "streamsan"}, "version": 1}', "no traces"),
        ("prose", "x: no known trace format"),
    ],
)
def test_what_cannot_be_compared(
    run: Run, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "x").write_text(content)

    status, out, err = run("diff", example("ring_depth1_fixed"), "x")

    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
