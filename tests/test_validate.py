"""``benchmarks/validate.py``, rehearsed without a GPU: it measures, keeps, goes on, and says no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "benchmarks" / "validate.py"
sys.path.insert(0, str(SCRIPT.parent))

from validation import plan  # noqa: E402
from validation.folder import Folder  # noqa: E402
from validation.hazards import run as hazards  # noqa: E402
from validation.hazards.bench import CLOCK, Task, result_file  # noqa: E402
from validation.part import Context, Part, Result, Unfinished  # noqa: E402
from validation.tables import tables  # noqa: E402


def validate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "simcuda", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_rehearsal_records_orders_and_provokes(tmp_path: Path) -> None:
    parts = "provenance,recordings,clock,hazards"
    options = ("-o", str(tmp_path), "--parts", parts, "--only", "copydone_missing,n2")
    done = validate(*options, "--tries", "3", "--jobs", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert names == [
        "copydone_missing_buggy.trace.jsonl.gz", "copydone_missing_fixed.trace.jsonl.gz",
        "n2_fixed.trace.jsonl.gz",
    ]  # fmt: skip
    rows = {
        row["scenario"]: row for row in json.loads((tmp_path / "hazards.json").read_text())["rows"]
    }
    assert rows["copydone_missing"]["buggy"]["native"]["kind"] == "tokens"
    assert rows["copydone_missing"]["fixed"]["native"]["tries"] == 3
    assert rows["n2"]["fixed"]["native"] == {"tries": 1, "failures": []}
    assert json.loads((tmp_path / "clock.json").read_text())["checked"] > 0
    text = (tmp_path / "tables.md").read_text()
    assert "1 of 1 bugs found, 2 of 2 correct programs silent" in text
    assert "1 of 1 bugs reproduced; 2 of 2 fixed programs never failed" in text

    again = validate(*options)

    assert again.returncode == 0
    assert again.stdout.count("kept from before") == 4


def test_without_time_nothing_is_begun_and_the_next_run_is_told_to_go_on(tmp_path: Path) -> None:
    done = validate("-o", str(tmp_path), "--parts", "provenance", "--minutes", "0")

    assert done.returncode == 1
    assert "left for the next run" in done.stdout


def test_a_part_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = validate("-o", str(tmp_path), "--parts", "nonsense")

    assert done.returncode == 2
    assert "there is no part 'nonsense': there are provenance" in done.stderr


def context(tmp_path: Path, only: tuple[str, ...] = ()) -> Context:
    return Context("cuda", Folder(tmp_path), only=only)


def test_a_part_that_runs_out_of_time_leaves_no_result(tmp_path: Path) -> None:
    def run(_: Context) -> Result:
        raise Unfinished("3 of 4")

    here = context(tmp_path)

    assert not plan.perform(Part("x", "", run, 1), here)
    assert here.folder.read("x.json") is None
    assert plan.perform(Part("x", "", lambda _: {"good": True, "rows": []}, 1), here)
    assert here.folder.read("x.json")["good"] is True


@pytest.mark.parametrize(
    ("buggy", "fixed", "good"),
    [
        ({"kind": "tokens", "tries": 1}, {"tries": 9, "failures": []}, True),
        ({"kind": "", "tries": 60}, {"tries": 9, "failures": []}, False),
        ({"kind": "tokens", "tries": 1}, {"tries": 9, "failures": [{"told": "x"}]}, False),
        ({"kind": "tokens", "tries": 1}, {"tries": 0, "error": "serial"}, False),
    ],
)
def test_a_hazard_row_is_good_if_the_bug_shows_and_its_fix_holds(
    tmp_path: Path, buggy: dict[str, object], fixed: dict[str, object], good: bool
) -> None:
    here = context(tmp_path, only=("swa_war",))
    here.folder.write({"cycles_per_ms": 1.0}, *CLOCK)
    here.folder.write({"finished": True, **buggy}, *result_file(Task("swa_war", "buggy", "native")))
    here.folder.write({"finished": True, **fixed}, *result_file(Task("swa_war", "fixed", "native")))

    found = hazards.run(here)

    assert found["good"] is good
    here.folder.write(found | {"part": "hazards", "device": "cuda"}, "hazards.json")
    assert "| swa_war | SO102 | native |" in tables(here.folder)


def test_lifetime_bugs_go_through_every_allocator(tmp_path: Path) -> None:
    here = context(tmp_path, only=("mixrun_lifetime", "swa_war"))
    asked = {(task.scenario, task.allocator) for task in hazards.tasks(here)}

    assert asked == {("swa_war", "native")} | {
        ("mixrun_lifetime", allocator) for allocator in hazards.ALLOCATORS
    }


@pytest.mark.parametrize(("variant", "key"), [("buggy", "kind"), ("fixed", "error")])
def test_a_worker_that_dies_is_no_endless_loop(tmp_path: Path, variant: str, key: str) -> None:
    here = context(tmp_path, only=("swa_war",))
    dead, waiting = Task("swa_war", variant, "native"), Task("n2", "fixed", "native")
    here.folder.write({"finished": False, "tries": 2}, *result_file(dead))

    hazards.note_death(here, [dead, waiting], 134)

    found = here.folder.read(*result_file(dead))
    assert found["finished"]
    assert found[key]
    assert here.folder.read(*result_file(waiting)) is None


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write({"a": 1}, "x.json")
    with pytest.raises(TypeError):
        folder.write({"a": object()}, "x.json")

    assert folder.read("x.json") == {"a": 1}
    assert folder.read("y.json") is None
