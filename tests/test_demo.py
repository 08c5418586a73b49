"""``streamsan demo`` and ``streamsan sim``: what the README promises, as a stranger types it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent


def streamsan(*arguments: str, cwd: Path, columns: int = 88) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamsan", *arguments],
        cwd=cwd, env={**os.environ, "COLUMNS": str(columns)}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def shape(text: str) -> str:
    """Leave out what changes with every edit: numbers, paths, how much of a path there is room."""
    text = re.sub(r"\S*/?(\w+)\.py:\d+", r"\1.py", text)
    text = re.sub(r"\.\.\.\S*(?= )", "", text)
    return re.sub(r"[ \n]+", " ", re.sub(r"\d+", "N", text))


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"`streamsan demo` prints\n\n```text\n(.*?)```\n", readme, re.DOTALL)
    assert shown is not None

    done = streamsan("demo", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert shape(done.stdout) == shape(shown[1])


def test_the_demo_finds_confirms_and_fixes(tmp_path: Path) -> None:
    done = streamsan("demo", "copydone_missing", "-o", "kept", cwd=tmp_path)

    assert done.returncode == 0
    found, confirmed, fixed = re.split(r"== [123]\. .* ==\n", done.stdout)[1:]
    assert "error[SO111] early-host-read" in found
    assert re.search(r"wrong tokens with op \d+ held back: request 0: \[-1, ", confirmed)
    assert "No findings in 1 trace" in fixed
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "copydone_missing_buggy.trace.jsonl", "copydone_missing_fixed.trace.jsonl",
    ]  # fmt: skip


def test_a_scenario_runs_alone_and_keeps_its_trace(tmp_path: Path) -> None:
    buggy = streamsan("sim", "run", "swa_war", "--steps", "3", "-o", "x.trace.jsonl.gz",
                      "--format", "json", cwd=tmp_path)  # fmt: skip
    fixed = streamsan("sim", "run", "swa_war", "--fixed", cwd=tmp_path)
    kept = streamsan("lint", "x.trace.jsonl.gz", "--select", "SO102", cwd=tmp_path)

    (trace,) = json.loads(buggy.stdout)["traces"]
    assert (buggy.returncode, fixed.returncode, kept.returncode) == (1, 0, 1)
    assert "SO102" in {each["rule"] for each in trace["findings"]}
    assert "the tokens are those of the serial oracle" in fixed.stderr


def test_the_matrix_is_a_table_and_a_file(tmp_path: Path) -> None:
    names = "copydone_missing,hidden_d2h_redundant,n2"
    done = streamsan("sim", "matrix", "--only", names, "-o", "out", cwd=tmp_path)

    rows = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert done.returncode == 0
    assert [(row["name"], row["found"], row["confirmed"], row["fixed"]) for row in rows] == [
        ("copydone_missing", "yes", "tokens", "silent"),
        ("hidden_d2h_redundant", "yes", "cost", "silent"),
        ("n2", "-", "-", "silent"),
    ]
    assert done.stdout.rstrip().endswith(
        "2 of 2 bugs found, 1 of 1 hazards confirmed, 3 of 3 correct programs silent."
    )
    assert len(list((tmp_path / "out").glob("*.trace.jsonl.gz"))) == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sim", "run", "swa_wor"), "there is no scenario 'swa_wor'; do you mean swa_war?"),
        (("demo", "n2"), "n2 has no bug: `streamsan sim run n2` runs it"),
        (("sim", "matrix", "--only", "n2", "--device", "cuda"), "there is no CUDA device here"),
        (("sim", "run", "n2", "--steps", "0"), "must be at least 1"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = streamsan(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_names_every_scenario(tmp_path: Path) -> None:
    from streamsan.sim.scheduler.scenarios import all_scenarios

    done = streamsan("sim", "list", cwd=tmp_path)

    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        each.name for each in all_scenarios()
    ]
