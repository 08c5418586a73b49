"""The command line: its exit status, its messages, and what it takes for a trace."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamsan import cli
from streamsan.checkers.reports import outcome, progress, workers
from streamsan.checkers.reports.inputs import Input, find_inputs
from streamsan.checkers.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
HEADER: dict[str, Any] = {
    "format": "streamsan-trace", "version": 1, "name": "upload", "source": "hand",
    "sites": [
        ["/srv/app/loop.py:41 upload", "/srv/app/loop.py:12 step"],
        ["/srv/app/loop.py:44 fill", "/srv/app/loop.py:12 step"],
    ],
}  # fmt: skip
BUGGY: list[dict[str, Any]] = [
    {"op": "malloc", "buffer": "h_pos", "space": "pinned", "bytes": 4096},
    {"op": "malloc", "buffer": "d_pos", "bytes": 4096, "stream": "fwd"},
    {"op": "host_write", "buffer": "h_pos", "site": 1},
    {"op": "memcpy", "stream": "fwd", "src": "h_pos", "dst": "d_pos", "site": 0},
    {"op": "event_record", "event": "copied", "stream": "fwd"},
    {"op": "launch", "stream": "fwd", "name": "attention", "reads": ["d_pos"]},
    {"op": "host_write", "buffer": "h_pos", "site": 1},
]
SYNC = {"op": "event_synchronize", "event": "copied"}
CLEAN = [*BUGGY[:6], SYNC, BUGGY[6]]
Run = Callable[..., tuple[int, str, str]]


def lines(ops: list[dict[str, Any]], header: dict[str, Any] = HEADER) -> str:
    return "".join(json.dumps(line) + "\n" for line in (header, *ops))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of our own, so that paths in outputs are short and the same everywhere."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", outcome.TRACEBACK):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "buggy.trace.jsonl").write_text(lines(BUGGY), encoding="utf-8")
    (tmp_path / "clean.trace.jsonl").write_text(lines(CLEAN), encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: (exit status, standard output, standard error)."""

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    return command


def start(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "streamsan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# --- what is printed


@pytest.mark.parametrize("form", ["text", "concise", "json"])
def test_the_whole_output(
    run: Run, golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr("streamsan.__version__", "0.0.0")

    status, out, err = run("lint", ".", "--format", form, "--select", "SO1")

    golden(f"lint.{form}", out)
    assert (status, err) == (1, "")


def test_statistics_take_the_place_of_the_findings(run: Run) -> None:
    status, out, _ = run("lint", ".", "--statistics", "--select", "SO112")

    assert status == 1
    assert out == (
        "     1  SO112  staging-overwrite  error\n\n"
        "Found 1 error in 2 traces (15 ops, 2 streams).\n"
    )


def test_a_clean_trace(run: Run) -> None:
    status, out, err = run("lint", "clean.trace.jsonl", "--select", "SO1")

    assert (status, err) == (0, "")
    assert out == "No findings in 1 trace (8 ops, 1 stream).\n"


def test_facts_that_are_missing_are_told(run: Run, folder: Path) -> None:
    header = {**HEADER, "complete": {"host": False}}
    (folder / "t.trace.jsonl").write_text(lines(CLEAN, header), encoding="utf-8")

    _, out, _ = run("lint", "t.trace.jsonl", "--select", "SO111,SO112,SO101")

    assert "2 rules could not be judged: facts are missing (SO111 SO112)." in out


# --- exit status and selection


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 1),
        (["--exit-zero"], 0),
        (["--select", "SO1"], 1),
        (["--select", "so112"], 1),
        (["--select", "SO2,SO3"], 0),
        (["--select", "SO2", "--select", "SO112"], 1),
        (["--ignore", "SO1"], 0),
        (["--select", "SO1", "--ignore", "SO112"], 0),
        (["--semantics", "strict"], 1),
        (["--all"], 1),
        (["--jobs", "1"], 1),
    ],
)
def test_exit_status(run: Run, options: list[str], status: int) -> None:
    assert run("lint", "buggy.trace.jsonl", *options)[0] == status


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["lint"], "required: PATH"),
        (["lnit", "x"], "invalid choice: 'lnit'"),
        (["lint", "x", "--fail-on", "never"], "invalid choice: 'never'"),
        (["lint", "x", "--jobs", "0"], "must be at least 1"),
        (["lint", "x", "--jobs", "two"], "not a number: 'two'"),
        (["lint", ".", "--select", "XY"], "no rule matches 'XY'"),
        (["lint", ".", "--\x1b[31m"], "unrecognized arguments: --\\x1b[31m"),
        (["explain", "SO12"], "no rule 'SO12': did you mean SO112"),
        (["explain", "staging-overwrit"], "did you mean staging-overwrite"),
        (["explain", "\x1b[31m"], "no rule '\\x1b[31m': see `streamsan rules`"),
        (["convert", "clean.trace.jsonl", "out.xyz"], "no trace format can be written as"),
        (["convert", "clean.trace.jsonl", "o.jsonl", "--to", "x"], "written as 'x'"),
        (["convert", "nothing", "o.jsonl"], "nothing: "),
        (["graph", "clean.trace.jsonl", "--around", "99"], "no op 99"),
        (["graph", "clean.trace.jsonl", "--format", "svg"], "invalid choice: 'svg'"),
        (["graph", "clean.trace.jsonl", "-o", "no/such/folder"], "no/such/folder: "),
    ],
)
def test_wrong_usage_is_told_in_one_line(run: Run, arguments: list[str], message: str) -> None:
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("streamsan: error: ")
    assert message in err


# --- what cannot be linted


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty", b"", "empty: the file is empty"),
        ("blank", b" \n\n", "blank: the file is empty"),
        ("junk", bytes(range(256)) * 20, "junk: binary content"),
        ("prose", b"once upon a time\n", "prose: no known trace format"),
        ("zip", b"PK\x03\x04" + bytes(40), "zip: "),
        ("packed", gzip.compress(b"", mtime=0), "packed: the file is empty"),
        ("op", lines([{"op": "lunch"}]).encode(), "op:2: unknown op 'lunch'"),
        ("key", lines([*BUGGY, {"op": "launch"}]).encode(), "key:9: "),
        ("list", b"[]", "list: "),
        ("other", b'{"name": "left-pad"}', "other:1: no streamsan header"),
        ("\x1b[2J", b"", "\\x1b[2J: the file is empty"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_bad_input_costs_one_file(  # noqa: PLR0917
    run: Run, folder: Path, name: str, content: bytes, message: str, form: str
) -> None:
    (folder / name).write_bytes(content)

    status, out, err = run("lint", name, "buggy.trace.jsonl", "--format", form, "--exit-zero")

    assert status == 2
    assert err.startswith(f"streamsan: error: {message}")
    assert len(err.splitlines()) == 1
    assert "SO112" in out
    if form == "json":
        shape = json.loads(out)
        assert [trace["path"] for trace in shape["traces"]] == ["buggy.trace.jsonl"]
        assert [error["path"] for error in shape["errors"]] == [name]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing", "no such file or folder"),
        ("nothing.trace.jsonl", "no such file or folder"),
        ("", "no such file or folder"),
        ("a\0b", "no such file or folder"),
        ("no*thing", "no file matches"),
        ("hollow", "no trace in this folder"),
        ("other", "no trace in this folder"),
    ],
)
def test_what_is_not_there(run: Run, folder: Path, path: str, message: str) -> None:
    (folder / "hollow").mkdir()
    (folder / "other").mkdir()
    (folder / "other" / "package.json").write_text('{"name": "left-pad"}', encoding="utf-8")

    status, _, err = run("lint", path)

    assert status == 2
    assert err.splitlines()[0].startswith("streamsan: error: ")
    assert message in err.splitlines()[0]


def test_a_damaged_trace_is_linted_and_exits_with_2(run: Run, folder: Path) -> None:
    (folder / "cut.trace.jsonl").write_text(lines(BUGGY) + '{"op": "lau', encoding="utf-8")

    status, out, err = run("lint", "cut.trace.jsonl", "--format", "concise", "--exit-zero")
    allowed = run("lint", "cut.trace.jsonl", "--allow-damaged", "--ignore", "SO112")[0]

    assert (status, allowed) == (2, 0)
    assert run("lint", "cut.trace.jsonl", "--allow-damaged")[0] == 1
    assert run("lint", "cut.trace.jsonl", "--ignore", "SO901")[0] == 2
    assert "SO901" in out
    assert "SO112" in out
    assert err.startswith("streamsan: error: cut.trace.jsonl: damaged")


def test_an_error_of_our_own_costs_one_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = outcome._lint  # pyright: ignore[reportPrivateUsage]

    def unsound(given: Input, settings: Settings) -> outcome.Outcome:
        if given.path == "clean.trace.jsonl":
            raise KeyError("a\nb")
        return sound(given, settings)

    monkeypatch.setattr(outcome, "_lint", unsound)

    status, out, err = run("lint", "clean.trace.jsonl", "buggy.trace.jsonl")

    assert status == 2
    assert "SO112" in out
    assert err.startswith("streamsan: error: clean.trace.jsonl: internal error")
    assert len(err.splitlines()) == 1
    monkeypatch.setenv(outcome.TRACEBACK, "1")
    assert "Traceback" in run("lint", "clean.trace.jsonl")[2]


# --- which files


def test_folders_are_searched_and_what_is_no_trace_is_skipped(run: Run, folder: Path) -> None:
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.trace.jsonl").write_text("junk", encoding="utf-8")
    (deep / "x.trace.jsonl.gz").write_bytes(gzip.compress(lines(CLEAN).encode()))
    (deep / "notes.json").write_text("{}", encoding="utf-8")
    (deep / "notes.txt").write_text("no trace", encoding="utf-8")

    status, out, err = run("lint", ".", "--format", "json", "--select", "SO1")

    paths = [trace["path"] for trace in json.loads(out)["traces"]]
    assert paths == ["./buggy.trace.jsonl", "./clean.trace.jsonl", "./deep/er/x.trace.jsonl.gz"]
    assert err == "streamsan: note: skipped 1 file that is no trace: ./deep/er/notes.json\n"
    assert status == 1


def test_a_file_called_a_trace_must_be_one(run: Run, folder: Path) -> None:
    (folder / "bad.trace.jsonl").write_text("{}\n", encoding="utf-8")

    status, _, err = run("lint", ".")

    assert status == 2
    assert err.startswith("streamsan: error: ./bad.trace.jsonl:1: ")


def test_each_file_is_linted_once(folder: Path) -> None:
    (folder / "link.trace.jsonl").symlink_to("buggy.trace.jsonl")

    found, missing = find_inputs(["buggy.trace.jsonl", ".", "*.jsonl", "link.trace.jsonl"])

    assert [given.path for given in found] == ["buggy.trace.jsonl", "./clean.trace.jsonl"]
    assert missing == []


def test_globs_are_expanded_unless_a_file_has_that_name(folder: Path) -> None:
    (folder / "[b].trace.jsonl").write_text(lines(CLEAN), encoding="utf-8")

    assert [g.path for g in find_inputs(["[b].trace.jsonl"])[0]] == ["[b].trace.jsonl"]
    assert [g.path for g in find_inputs(["b*.jsonl"])[0]] == ["buggy.trace.jsonl"]


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(BUGGY).encode())))

    status, out, _ = run("lint", "-", "clean.trace.jsonl", "--format", "json", "--jobs", "2")

    assert status == 1
    assert [trace["path"] for trace in json.loads(out)["traces"]] == ["-", "clean.trace.jsonl"]


# --- several processes


def test_two_processes_say_what_one_says(folder: Path) -> None:
    for i in range(5):
        (folder / f"{i}.trace.jsonl").write_text(lines(BUGGY[i % 2 :]), encoding="utf-8")
    (folder / "junk").write_bytes(b"\0")

    one = start("lint", ".", "junk", "--jobs", "1", "--format", "json")
    two = start("lint", ".", "junk", "--jobs", "2", "--format", "json")

    assert one.returncode == two.returncode == 2
    assert json.loads(two.stdout)["summary"]["error"] >= 5
    assert (one.stdout, one.stderr) == (two.stdout, two.stderr)


class Deadly(Input):
    """An input that ends the process that receives it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_a_process_that_dies_costs_one_file() -> None:
    inputs = [Input("clean.trace.jsonl")] * 7
    inputs[2] = Deadly("deadly")

    found = dict(workers.lint_in_processes(inputs, Settings(select=("SO1",)), 2))

    assert sorted(found) == list(range(7))
    assert [i for i in found if found[i].failed] == [2]
    assert "died" in found[2].reason
    assert all(found[i].ops == 8 for i in found if i != 2)


# --- the bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("paths", [["clean.trace.jsonl"], ["."]])
def test_a_bar_on_a_terminal_for_what_takes_long(
    run: Run, monkeypatch: pytest.MonkeyPatch, paths: list[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")

    plain = run("lint", *paths)
    assert screen.getvalue() == ""
    monkeypatch.setattr(progress, "WORTH_IT", 1)

    assert run("lint", *paths) == plain
    assert "linting" in screen.getvalue()


# --- endings


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    command = f"{sys.executable} -m streamsan lint {folder} --format json | head -c 1"

    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602

    assert (result.stdout, result.stderr) == ("{", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "streamsan", "lint", "clean.trace.jsonl"]
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert result.returncode == 2
    assert result.stderr.startswith("streamsan: error: cannot write to standard output: ")


def test_an_encoding_that_lacks_a_letter_gets_an_escape(folder: Path) -> None:
    name = "größe.trace.jsonl"
    (folder / name).write_text(lines(BUGGY), encoding="utf-8")

    result = start("lint", name, env={**os.environ, "PYTHONIOENCODING": "ascii"})

    assert result.returncode == 1
    assert "gr\\xf6\\xdfe.trace.jsonl" in result.stdout


def test_an_interrupt_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outcome, "_lint", interrupted)

    assert run("lint", "clean.trace.jsonl") == (130, "", "")


def test_version_and_help(run: Run) -> None:
    assert run("--version")[0] == 0
    status, out, err = run("lint", "--help")

    assert (status, err) == (0, "")
    assert "Exit status: 0" in out


# --- the other commands


def test_rules_and_explain(run: Run) -> None:
    status, table, _ = run("rules")
    _, family, _ = run("explain", "SO11")
    _, page, _ = run("explain", "staging_overwrite")
    shapes = json.loads(run("rules", "--format", "json")[1])

    assert status == 0
    assert "SO112  staging-overwrite" in table
    assert "SO101" not in family
    assert "SO112" in family
    assert page.startswith("SO112 staging-overwrite\nerror; needs to know: accesses, host, sync\n")
    assert "\nBad:\n    malloc h pinned 64\n" in page
    assert {"rule", "name", "severity", "needs", "title"} == set(shapes[0])
    (full,) = json.loads(run("explain", "SO112", "--format", "json")[1])
    assert full["sections"]["Fix"]


@pytest.mark.parametrize("target", ["out.npz", "out.jsonl.gz", "out.jsonl"])
def test_convert_keeps_the_findings(run: Run, target: str) -> None:
    assert run("convert", "buggy.trace.jsonl", target) == (0, "", "")

    _, before, _ = run("lint", "buggy.trace.jsonl", "--format", "json")
    _, after, _ = run("lint", target, "--format", "json")

    one, two = json.loads(before)["traces"][0], json.loads(after)["traces"][0]
    assert {**one, "path": ""} == {**two, "path": ""}


def test_what_is_made_of_a_damaged_trace_is_not_all_of_it(run: Run, folder: Path) -> None:
    (folder / "cut").write_text(lines(BUGGY) + '{"op"', encoding="utf-8")

    status, _, err = run("convert", "cut", "out.jsonl")

    assert status == 2
    assert err.startswith("streamsan: warning: cut: damaged: ")
    assert run("convert", "cut", "out.jsonl", "--allow-damaged")[0] == 0
    assert run("graph", "cut")[0] == 2


@pytest.mark.parametrize(("form", "start_of_it"), [("dot", "digraph"), ("json", "{")])
def test_graph(run: Run, folder: Path, form: str, start_of_it: str) -> None:
    status, out, err = run("graph", "buggy.trace.jsonl", "--format", form)

    assert (status, err) == (0, "")
    assert out.startswith(start_of_it)
    near = run("graph", "buggy.trace.jsonl", "--format", form, "--around", "3", "--radius", "1")[1]
    assert 0 < len(near) < len(out)
    assert run("graph", "buggy.trace.jsonl", "--format", form, "-o", "graph.out") == (0, "", "")
    assert (folder / "graph.out").read_text(encoding="utf-8") == out
