"""The configuration: where it is found, what it may say, who wins, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from streamsan import cli
from streamsan.checkers import check
from streamsan.checkers.policy.config import load_config
from streamsan.checkers.policy.errors import PolicyError
from streamsan.checkers.policy.policy import Policy
from streamsan.traces import load

Run = Callable[..., tuple[int, str, str]]
HEADER = '{"format": "streamsan-trace", "version": 1, "complete": {"host": true}}'
BUGGY = f"""{HEADER}
{{"op": "malloc", "buffer": "h", "space": "pinned", "bytes": 64}}
{{"op": "host_write", "buffer": "h"}}
{{"op": "memcpy", "stream": "s", "src": "h", "dst": "a", "kind": "H2D"}}
{{"op": "host_write", "buffer": "h"}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "t.trace.jsonl").write_text(BUGGY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return command


def write(folder: Path, text: str, name: str = "streamsan.toml") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


# --- which file


def test_without_a_file_the_defaults_hold() -> None:
    config = load_config()

    assert config.file is None
    assert Policy(config).threshold == "error"


def test_the_nearest_file_holds_and_its_folder_is_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, '[tool.streamsan]\nfail-on = "info"\n', "pyproject.toml")
    write(folder / "a" / "b", "[tool.other]\nx = 1\n", "pyproject.toml")
    monkeypatch.chdir(folder / "a" / "b")

    config = load_config()

    assert (config.file, config.folder) == ("../../pyproject.toml", folder)
    assert config.fail_on == "info"


def test_its_own_file_comes_before_pyproject(folder: Path) -> None:
    write(folder, '[tool.streamsan]\nfail-on = "info"\n', "pyproject.toml")
    write(folder, 'fail-on = "warning"\n')

    assert load_config().fail_on == "warning"
    assert load_config("pyproject.toml").fail_on == "info"


def test_a_broken_pyproject_that_does_not_speak_of_us_is_not_our_business(folder: Path) -> None:
    write(folder, "[tool.other\n", "pyproject.toml")

    assert load_config().file is None


# --- who wins


def test_the_command_line_wins_over_the_file(folder: Path, run: Run) -> None:
    write(folder, 'select = ["SO2"]\nfail-on = "error"\n')

    assert run("lint", "t.trace.jsonl")[0] == 0
    assert run("lint", "t.trace.jsonl", "--select", "SO1")[0] == 1
    assert run("lint", "t.trace.jsonl", "--isolated")[0] == 1


def test_severity_and_what_fails(folder: Path, run: Run) -> None:
    write(folder, 'fail-on = "warning"\nseverity = { SO1 = "info", SO112 = "warning" }\n')

    status, out, _ = run("lint", "t.trace.jsonl", "--select", "SO112")

    assert status == 1
    assert out.startswith("warning[SO112]")
    assert run("lint", "t.trace.jsonl", "--select", "SO112", "--fail-on", "error")[0] == 0


def test_a_path_has_settings_of_its_own(folder: Path, run: Run) -> None:
    (folder / "ci").mkdir()
    (folder / "ci" / "u.trace.jsonl").write_text(BUGGY, encoding="utf-8")
    write(
        folder,
        """select = ["SO1"]
[[per-path]]
path = "ci/*"
ignore = ["SO112"]
[[per-path]]
path = "t.trace.jsonl"
severity = { SO112 = "info" }
""",
    )

    status, out, _ = run("lint", ".", "--format", "json")

    shape = json.loads(out)
    found = {t["path"]: [f["severity"] for f in t["findings"]] for t in shape["traces"]}
    assert found == {"./ci/u.trace.jsonl": [], "./t.trace.jsonl": ["info"]}
    assert status == 0


def test_several_processes_give_each_path_its_settings(folder: Path, run: Run) -> None:
    (folder / "u.trace.jsonl").write_text(BUGGY, encoding="utf-8")
    write(folder, '[[per-path]]\npath = "u.*"\nselect = ["SO2"]\n')

    _, out, _ = run("lint", ".", "--format", "concise", "--select", "SO1", "--jobs", "2")
    one = run("lint", ".", "--format", "concise", "--jobs", "2")[1]

    assert "u.trace" in out  # the command line's selection wins over the path's
    assert "u.trace" not in one
    assert "t.trace" in one


def test_switches_replace_those_of_the_header(folder: Path) -> None:
    trace = folder / "p.trace.jsonl"
    trace.write_text(
        f"""{HEADER}
{{"op": "malloc", "buffer": "h", "space": "pageable", "bytes": 64}}
{{"op": "host_write", "buffer": "h"}}
{{"op": "memcpy", "stream": "s", "src": "h", "dst": "a", "kind": "H2D"}}
{{"op": "host_write", "buffer": "h"}}
""",
        encoding="utf-8",
    )
    write(folder, "[switches]\npageable-h2d-stages = false\n")

    with_switch = check(load(trace), Policy(load_config()).settings())

    assert "SO112" in [finding.rule for finding in with_switch]
    assert "SO112" not in [finding.rule for finding in check(load(trace))]


def test_hot_regions_reach_the_rules(folder: Path) -> None:
    write(folder, 'hot-regions = "decode"\n')

    assert Policy(load_config()).settings().hot_regions == ("decode",)


# --- what is refused: one clear line each

SUPPRESS = "[[suppress]]\nrules = ['SO1']\nreason = 'x'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fial-on = 'error'", "streamsan.toml:1: unknown key 'fial-on'; did you mean 'fail-on'?"),
        ("\nfail_on = 'error'", "streamsan.toml:2: unknown key 'fail_on'; did you mean 'fail-on'?"),
        ("xyzzy = 1", "streamsan.toml:1: unknown key 'xyzzy'; known: select, ignore"),
        ("fail-on = 'never'", "streamsan.toml:1: fail-on: must be one of error, warning, info"),
        ("fail-on = 3", "fail-on: must be one of"),
        ("select = ['SO1', 'SO999']", "streamsan.toml:1: select: no rule matches 'SO999'"),
        ("select = 7", "select: must be a list of strings"),
        ("select = [7]", "select: must be a string that is not empty"),
        ("semantics = 'loose'", "semantics: must be one of default, strict"),
        ("switches = { pageable = true }", "switches: unknown switch 'pageable'"),
        ("[switches]\npageable-h2d-stages = 'no'", "pageable-h2d-stages must be true or false"),
        ("severity = { SO1 = 'bad' }", "severity: must be one of error, warning, info"),
        ("severity = 'bad'", "severity: must be a table"),
        ("path-map = { '/a' = 1 }", "path-map: '/a' must be a string"),
        ("per-path = 3", "streamsan.toml:1: per-path must be a list of tables: [[per-path]]"),
        ("[[per-path]]\nselect = ['SO1']", "streamsan.toml:1: per-path: path is required"),
        ("[[per-path]]\npath = 'x'\nfail-on = 'info'", "streamsan.toml:3: unknown key 'fail-on'"),
        ("[[suppress]]\nrules = ['SO1']", "streamsan.toml:1: suppress: reason is required"),
        ("[[suppress]]\nreason = 'x'", "suppress: rules is required"),
        ("[[suppress]]\nrules = ['SO1']\nreason = ' '", "streamsan.toml:3: reason: must be a str"),
        (
            f"{SUPPRESS}\n{SUPPRESS}expires = 'soon'",
            "streamsan.toml:8: expires: must be a date such as 2027-01-31",
        ),
        ("a = \nb = 1", "streamsan.toml:1: no TOML: Invalid value"),
        ("a = 1\na = 2", "streamsan.toml:2: no TOML: Cannot overwrite a value"),
        ("[" * 99999, "streamsan.toml:1: no TOML"),
        ("\x1b[31m = 1", "streamsan.toml:1: no TOML"),
        ('"\\u001b[2J" = 1', "unknown key '\\x1b[2J'"),
    ],
)
def test_a_bad_configuration_is_one_clear_line(
    folder: Path, run: Run, text: str, message: str
) -> None:
    write(folder, text)

    status, out, err = run("lint", "t.trace.jsonl")

    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("streamsan: error: streamsan.toml")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none.toml"], "none.toml: No such file or directory"),
        (["--config", "pyproject.toml"], "pyproject.toml: no table [tool.streamsan]"),
        (["--config", "."], "Is a directory"),
        (["--config", "a.toml", "--isolated"], "--isolated and --config contradict each other"),
        (["--select", "SO112", "--ignore", "SO112"], "no rule is left"),
    ],
)
def test_options_that_cannot_be(folder: Path, run: Run, arguments: list[str], message: str) -> None:
    write(folder, "[tool.other]\n", "pyproject.toml")

    status, _, err = run("lint", "t.trace.jsonl", *arguments)

    assert status == 2
    assert len(err.splitlines()) == 1
    assert message in err


def test_bytes_that_are_no_text(folder: Path) -> None:
    (folder / "streamsan.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(PolicyError, match=re.escape("streamsan.toml: not UTF-8")):
        load_config()


# --- streamsan config

FULL = """select = ["SO1", "SO4"]
fail-on = "warning"
baseline = "known.jsonl"
[severity]
SO404 = "info"
[[per-path]]
path = "t.trace.jsonl"
ignore = ["SO113"]
semantics = "strict"
[[suppress]]
rules = ["SO112"]
buffer = "h*"
reason = "known: #3"
"""


def test_what_holds_and_why(folder: Path, run: Run, golden: Callable[[str, str], None]) -> None:
    write(folder, FULL)

    golden("config.text", run("config")[1])
    golden("config_for.text", run("config", "--for", "x/t.trace.jsonl", "--ignore", "SO402")[1])


def test_one_key_for_programs(folder: Path, run: Run) -> None:
    write(folder, FULL)

    _, out, _ = run("config", "fail-on", "--format", "json")

    assert json.loads(out) == {"fail-on": {"value": "warning", "from": "streamsan.toml:2"}}


def test_a_key_that_is_not_there(run: Run) -> None:
    status, _, err = run("config", "fail_on")

    assert status == 2
    assert "did you mean 'fail-on'?" in err
