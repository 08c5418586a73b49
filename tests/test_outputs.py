"""The forms of a report for machines: SARIF, JUnit, annotations, Markdown; many from one run."""

import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from test_reports import HOSTILE, OUTCOMES, OVERWRITE, access

from streamsan import cli
from streamsan.checkers import Finding, Settings
from streamsan.checkers.policy.baseline import entries_of
from streamsan.checkers.policy.config import Config
from streamsan.checkers.policy.judge import Accepted
from streamsan.checkers.policy.policy import Policy
from streamsan.checkers.reports.kinds import github, junit, markdown, sarif
from streamsan.checkers.reports.outcome import Outcome
from streamsan.checkers.reports.run import Options
from streamsan.checkers.reports.write import kinds, read_outputs
from streamsan.checkers.rule import rules
from streamsan.traces.errors import UsageError

SCHEMAS = Path(__file__).parent / "data" / "schemas"
SCHEMA = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
CLEAN = Outcome("clean.trace.jsonl", source="hand", ops=3, streams=1)
HIDDEN = replace(OVERWRITE, fingerprint="feed", buffer="other")
WITH_ACCEPTED = replace(
    CLEAN,
    findings=(OVERWRITE,),
    accepted=(
        Accepted(HIDDEN, "suppressed", "streamsan.toml:4", "a ring of two"),
        Accepted(replace(HIDDEN, fingerprint="beef"), "baseline", "", ""),
    ),
)
Check = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [key for key in os.environ if key.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # no form for machines may be coloured
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streamsan.__version__", "0.0.0")
    (tmp_path / ".git").mkdir()
    return tmp_path


def options(**more: Any) -> Options:
    policy = Policy(Config(path_map=(("/srv/", ""),)))
    return replace(Options((), Settings(), policy=policy), **more)


def log_of(outcomes: Any = OUTCOMES, **more: Any) -> Any:
    return json.loads(sarif.render(outcomes, options(**more)))


def all_strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in (k, *all_strings(v))]
    if isinstance(value, list):
        return [s for each in value for s in all_strings(each)]
    return [value] if isinstance(value, str) else []


# --- whole outputs


@pytest.mark.parametrize("kind", ["sarif", "junit", "github", "markdown"])
def test_the_whole_output(golden: Check, kind: str) -> None:
    module = {"sarif": sarif, "junit": junit, "github": github, "markdown": markdown}[kind]

    golden(f"findings.{kind}", module.render(OUTCOMES, options()))


# --- SARIF

EVERY_RULE = [
    Outcome(
        "all.trace.jsonl",
        findings=tuple(
            replace(OVERWRITE, rule=code, name=rule.name, severity=rule.severity, fingerprint=code)
            for code, rule in rules().items()
        ),
    )
]
HOSTILE_FINDING = replace(
    OVERWRITE,
    message=f"[op](1) {HOSTILE} \\", hint=HOSTILE, buffer=HOSTILE, kind=HOSTILE, fingerprint="f",
    details={"accesses": [
        access(1, "memcpy", HOSTILE, name=HOSTILE, stack=[f"/srv/{HOSTILE} x.py:3 {HOSTILE}"]),
        access(2, "launch", "", stack=["<string>:0 f", "no line", ":", "/abs/../%2e/a b.py:1 g"]),
    ]},
)  # fmt: skip


def github_needs(log: Any) -> None:
    """Check what GitHub code scanning refuses or cuts (github/docs, SARIF support and limits)."""
    assert log["$schema"]
    assert log["version"] == "2.1.0"
    assert len(log["runs"]) <= 20
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"]
        assert len(run["results"]) <= 25_000
        for rule in driver["rules"]:
            assert rule["id"]
            for key in ("shortDescription", "fullDescription"):
                assert 0 < len(rule[key]["text"]) <= 1024
            assert rule["help"]["text"]
            assert len(rule["properties"]["tags"]) <= 20
            assert rule["properties"]["precision"] in {"very-high", "high", "medium", "low"}
        marks = [result["partialFingerprints"] for result in run["results"]]
        assert len({mark["primaryLocationLineHash"] for mark in marks}) == len(marks)
        for result in run["results"]:
            assert result["message"]["text"]
            assert 1 <= len(result["locations"]) <= 1000
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
            for location in result["locations"]:
                place = location["physicalLocation"]
                assert place["artifactLocation"]["uri"]
                region = place["region"]
                assert {"startLine", "startColumn", "endLine", "endColumn"} <= region.keys()
                assert region["startLine"] == region["endLine"] >= 1
                assert region["endColumn"] > region["startColumn"] >= 1
            for flow in result.get("codeFlows", ()):
                assert sum(len(thread["locations"]) for thread in flow["threadFlows"]) <= 10_000


@pytest.mark.parametrize(
    "outcomes",
    [
        OUTCOMES,
        [],
        [CLEAN],
        [WITH_ACCEPTED],
        EVERY_RULE,
        [replace(CLEAN, findings=(HOSTILE_FINDING,), path=HOSTILE)],
        [replace(CLEAN, failed=True, reason=HOSTILE), replace(CLEAN, damage=HOSTILE)],
        [replace(CLEAN, findings=(replace(OVERWRITE, details={}, ops=()),), path="/a b/%.json")],
    ],
    ids=["some", "none", "clean", "accepted", "rules", "hostile", "failures", "no stacks"],
)
@pytest.mark.parametrize("baseline", [None, {}])
def test_sarif_is_valid_and_what_github_takes(outcomes: Any, baseline: Any) -> None:
    log = log_of(outcomes, baseline=baseline)

    jsonschema.validate(log, SCHEMA)
    github_needs(log)
    assert all(text.replace("\n", "").isprintable() for text in all_strings(log))


def test_the_schema_would_see_a_mistake() -> None:
    log = log_of()
    log["runs"][0]["results"][0]["level"] = "fatal"

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SCHEMA)


def test_both_accesses_are_thread_flows_and_nothing_orders_their_ends() -> None:
    result = log_of([replace(CLEAN, findings=(OVERWRITE,))])["runs"][0]["results"][0]
    one, two = result["codeFlows"][0]["threadFlows"]

    assert (one["id"], two["id"]) == ("fwd", "host:main")
    assert one["locations"][-1]["executionOrder"] == two["locations"][-1]["executionOrder"]
    assert [flow["locations"][-1]["importance"] for flow in (one, two)] == ["essential"] * 2
    lines = [
        step["location"]["physicalLocation"]["region"]["startLine"] for step in one["locations"]
    ]
    assert lines == [47, 46, 45, 44, 43, 42, 41, 40, 40]  # from the outermost frame to the op
    assert len(result["stacks"]) == 2
    assert "[op 5](1) and [op 7](2)" in result["message"]["text"]


def test_the_location_is_that_of_the_later_access_and_shows_the_line(repository: Path) -> None:
    file = repository / "app" / "layers" / "block_0.py"
    file.parent.mkdir(parents=True)
    file.write_text("\n" * 39 + "    self.h.copy_(x)  \n", encoding="utf-8")

    result = log_of([replace(CLEAN, findings=(OVERWRITE,))])["runs"][0]["results"][0]

    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {
        "uri": "app/layers/block_0.py", "uriBaseId": "%SRCROOT%",
    }  # fmt: skip
    assert place["region"] == {
        "startLine": 40, "startColumn": 5, "endLine": 40, "endColumn": 20,
        "snippet": {"text": "self.h.copy_(x)"},
    }  # fmt: skip


def test_of_two_accesses_the_later_one_is_pointed_at() -> None:
    both = [
        access(1, "x", "s", stack=["a.py:3 f"]),
        access(2, "x", "t", stack=["b.py:9 g"]),
    ]
    places = [
        log_of([replace(CLEAN, findings=(replace(OVERWRITE, details={"accesses": each}),))])
        for each in (both, [both[0], access(2, "x", "t")])
    ]

    found = [
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for log in places
    ]
    assert found == ["b.py", "a.py"]


def test_library_frames_are_not_where_the_mistake_is() -> None:
    stack = ["/usr/lib/python3.11/site-packages/torch/_ops.py:9 op", "/srv/app/a.py:3 f"]
    found = replace(OVERWRITE, details={"accesses": [access(1, "x", "s", stack=stack)]})

    result = log_of([replace(CLEAN, findings=(found,))])["runs"][0]["results"][0]

    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "app/a.py"


def test_a_name_in_a_message_is_no_link() -> None:
    found = replace(OVERWRITE, message="[op 5](http://e) \\", hint="")

    result = log_of([replace(CLEAN, findings=(found,))])["runs"][0]["results"][0]

    said = result["message"]["text"]
    assert said == "\\[op 5\\](http://e) \\\\. See [op 5](1) and [op 7](2)."


def test_without_a_stack_the_trace_is_pointed_at_and_the_message_says_so() -> None:
    found = replace(OVERWRITE, details={})

    result = log_of([replace(CLEAN, findings=(found,))])["runs"][0]["results"][0]

    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "clean.trace.jsonl"
    assert place["region"]["startLine"] == 9  # a header, then op 0 on line 2
    assert "holds no stack" in result["message"]["text"]
    assert "codeFlows" not in result


def test_the_hash_is_free_of_lines_and_tells_equal_causes_apart() -> None:
    stack = [line.replace(":4", ":9") for line in OVERWRITE.details["accesses"][0]["stack"]]
    moved = replace(OVERWRITE, details={"accesses": [access(5, "memcpy", "fwd", stack=stack)]})

    def hashes(*findings: Finding) -> list[str]:
        results = log_of([replace(CLEAN, findings=findings)])["runs"][0]["results"]
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]

    assert hashes(OVERWRITE) == hashes(moved) == ["0123456789abcdef:1"]
    assert hashes(OVERWRITE, moved) == ["0123456789abcdef:1", "0123456789abcdef:2"]


def test_a_cause_that_many_ranks_have_is_one_result() -> None:
    ranks = [Outcome(f"rank{i}.trace.jsonl", findings=(OVERWRITE,)) for i in range(8)]

    (result,) = log_of(ranks)["runs"][0]["results"]

    assert result["properties"]["traces"] == [rank.path for rank in ranks]


def test_what_is_known_is_unchanged_and_what_is_suppressed_is_left_out() -> None:
    results = log_of([WITH_ACCEPTED], baseline={})["runs"][0]["results"]

    states = {r["partialFingerprints"]["streamsanFinding/v1"]: r["baselineState"] for r in results}
    assert states == {"0123456789abcdef": "new", "beef": "unchanged"}
    assert len(log_of([WITH_ACCEPTED])["runs"][0]["results"]) == 1


def test_more_findings_than_github_takes_are_cut_and_that_is_said() -> None:
    few = {"accesses": [access(1, "memcpy", "s", stack=["/srv/app/a.py:3 f"])]}
    many = tuple(replace(OVERWRITE, fingerprint=f"{i:016x}", details=few) for i in range(5200))

    run = log_of([replace(CLEAN, findings=many)])["runs"][0]

    assert len(run["results"]) == 5000
    said = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert said == "200 of 5200 results were left out"


def test_a_file_that_would_be_too_large_for_github_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "PACKED", 20_000)
    monkeypatch.setattr(sarif, "FEW", 5)
    many = tuple(
        replace(OVERWRITE, fingerprint=f"{i:016x}", message=f"{i:x}" * 60) for i in range(600)
    )

    text = sarif.render([replace(CLEAN, findings=many)], options())

    kept = len(json.loads(text)["runs"][0]["results"])
    assert len(zlib.compress(text.encode(), 6)) <= 20_000
    assert 5 < kept < 600
    assert f"{600 - kept} of 600 results were left out" in text


def test_jobs_of_one_commit_do_not_replace_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert log_of()["runs"][0]["automationDetails"]["id"] == "streamsan/lint/"
    monkeypatch.setenv("GITHUB_JOB", "gpu/tests")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    monkeypatch.setenv("GITHUB_SHA", "0" * 40)

    run = log_of()["runs"][0]

    assert run["automationDetails"]["id"] == "streamsan/gpu-tests/"
    assert run["versionControlProvenance"][0]["repositoryUri"] == "https://github.com/a/b"
    jsonschema.validate(log_of(), SCHEMA)


# --- JUnit


@pytest.mark.parametrize(
    "outcomes",
    [OUTCOMES, [], [CLEAN], [WITH_ACCEPTED], [replace(CLEAN, damage="cut")],
     [replace(CLEAN, findings=(HOSTILE_FINDING,), path=HOSTILE)]],
)  # fmt: skip
def test_junit_is_valid(outcomes: Any, tmp_path: Path) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    file = tmp_path / "junit.xml"
    file.write_text(junit.render(outcomes, options()), encoding="utf-8")

    xmlschema.validate(str(file), str(SCHEMAS / "junit-10.xsd"))


def counts(text: str) -> dict[str, int]:
    root = ET.fromstring(text)  # noqa: S314 - our own
    tags = ("testcase", "failure", "error", "skipped")
    return {tag: len(root.findall(f".//{tag}")) for tag in tags}


def test_junit_says_what_fails() -> None:
    bad = replace(CLEAN, findings=(OVERWRITE, replace(OVERWRITE, severity="info")))

    found = counts(junit.render([bad, CLEAN, WITH_ACCEPTED], options()))

    assert found == {"testcase": 6, "failure": 2, "error": 0, "skipped": 2}
    assert counts(junit.render([bad], options(fail_on="info")))["failure"] == 2
    assert counts(junit.render([CLEAN], options()))["testcase"] == 1


def test_equal_findings_are_cases_of_different_names() -> None:
    root = ET.fromstring(  # noqa: S314
        junit.render([replace(CLEAN, findings=(OVERWRITE, OVERWRITE))], options())
    )

    names = [case.get("name") for case in root.iter("testcase")]
    assert len(set(names)) == 2


# --- annotations and the summary

_COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def commands(outcomes: Any) -> list[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner does."""
    found = []
    for line in github.render(outcomes, options()).split("\n")[:-1]:
        parts = _COMMAND.fullmatch(line)
        assert parts, line
        properties = dict(pair.split("=", 1) for pair in parts[2].split(","))
        found.append((parts[1], properties, parts[3]))
    return found


def test_annotations_point_at_lines_and_come_worst_first() -> None:
    found = commands([replace(each, failed=False) for each in OUTCOMES])

    assert [level for level, _, _ in found] == ["error", "error", "warning", "notice"]
    assert found[0][1]["file"] == "app/layers/block_0.py"
    assert found[0][1]["line"] == found[0][1]["endLine"] == "40"


def test_no_name_ends_an_annotation_or_begins_another() -> None:
    evil = "x\n::set-env name=PATH::/evil\r::error::%0A,title=y:z"
    found = replace(
        OVERWRITE, message=evil, buffer=evil, name=evil,
        details={"accesses": [access(1, evil, evil, stack=[f"/srv/{evil}.py:3 {evil}"])]},
    )  # fmt: skip

    text = github.render([Outcome(evil, findings=(found,))], options())

    assert text.count("\n") == 1
    assert "\r" not in text
    ((_, properties, message),) = commands([Outcome(evil, findings=(found,))])
    assert set(properties) == {"file", "line", "endLine", "title"}
    assert properties["title"].startswith("SO112 ")
    assert "%0A" in message  # the newlines between our own lines
    assert "%250A" in message  # what looked like one in the name


def test_only_ten_of_a_level_are_shown_and_the_rest_is_counted() -> None:
    many = tuple(replace(OVERWRITE, fingerprint=str(i)) for i in range(30))
    infos = tuple(replace(each, severity="info") for each in many)

    found = commands([replace(CLEAN, findings=many + infos)])

    levels = [level for level, _, _ in found]
    assert (levels.count("error"), levels.count("notice")) == (10, 10)
    assert found[-1][2].startswith("and 41 more")


def test_the_summary_of_the_step_is_written_beside_annotations(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(repository / "summary.md"))
    (repository / "summary.md").write_text("earlier\n", encoding="utf-8")
    trace = repository / "t.trace.jsonl"
    trace.write_text(TRACE, encoding="utf-8")

    assert cli.main(["lint", "t.trace.jsonl", "--output", "github=a.txt"]) == 1

    text = (repository / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("earlier\n## streamsan\n")
    assert "SO112" in text
    assert (repository / "a.txt").read_text(encoding="utf-8").startswith("::error ")
    assert "SO112" in capsys.readouterr().out


def test_markdown_takes_nothing_from_a_name() -> None:
    evil = "<img src=x onerror=alert(1)> | **b** `c` [d](http://e) @all <!-- </pre></details>"
    found = replace(OVERWRITE, message=evil, buffer=evil, hint=evil)

    text = markdown.render([Outcome(evil, findings=(found,))], options())

    assert "<img" not in text
    assert "**b**" not in text.split("<details>")[0]  # a block of HTML is not read as Markdown
    row = next(line for line in text.splitlines() if "SO112" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 7
    assert text.count("</pre>") == text.count("</details>") == 1


def test_a_long_summary_stays_below_a_mebibyte() -> None:
    many = tuple(replace(OVERWRITE, message="m" * 9000) for _ in range(3000))

    text = markdown.render([replace(CLEAN, findings=many)], options())

    assert len(text.encode()) < 1 << 20
    assert "2800 more" in text


# --- several outputs from one run

TRACE = """{"format": "streamsan-trace", "version": 1}
{"op": "malloc", "buffer": "h", "space": "pinned", "bytes": 64}
{"op": "host_write", "buffer": "h"}
{"op": "memcpy", "stream": "s", "src": "h", "dst": "a", "kind": "H2D"}
{"op": "host_write", "buffer": "h"}
"""


def test_one_run_writes_all_kinds(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR")
    (repository / "t.trace.jsonl").write_text(TRACE, encoding="utf-8")
    outputs = [word for kind in kinds() for word in ("--output", f"{kind}={kind}.out")]

    assert cli.main(["lint", "t.trace.jsonl", *outputs]) == 1

    out = capsys.readouterr().out
    assert (repository / "text.out").read_text(encoding="utf-8") == out
    for kind in kinds():
        assert "SO112" in (repository / f"{kind}.out").read_text(encoding="utf-8"), kind
    assert {"text", "concise", "json", "sarif", "github", "junit", "markdown"} <= set(kinds())


def test_a_form_can_go_to_standard_output(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "t.trace.jsonl").write_text(TRACE, encoding="utf-8")

    cli.main(["lint", "t.trace.jsonl", "--format", "sarif"])
    first = capsys.readouterr().out
    cli.main(["lint", "t.trace.jsonl", "--output", "sarif=-"])

    assert json.loads(first)["version"] == "2.1.0"
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("values", "form", "message"),
    [
        (["sarif"], None, "takes KIND=PATH, not 'sarif'"),
        (["sarif="], None, "takes KIND=PATH"),
        (["serif=x"], None, "no kind 'serif'; kinds: text, concise, github"),
        (["sarif=x", "json=x"], None, "two of --output go to 'x'"),
        (["sarif=-", "json=-"], None, "two of --output go to '-'"),
        (["sarif=-"], "text", "--format text and --output sarif=- both go to standard output"),
    ],
)
def test_outputs_that_cannot_be(values: list[str], form: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        read_outputs(values, form)


def test_an_output_that_cannot_be_written_is_told_and_the_others_are_written(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "t.trace.jsonl").write_text(TRACE, encoding="utf-8")

    status = cli.main(
        ["lint", "t.trace.jsonl", "--output", "json=no/such/x", "--output", "concise=c"]
    )

    assert status == 2
    assert capsys.readouterr().err == "streamsan: error: no/such/x: No such file or directory\n"
    assert (repository / "c").exists()


def test_entries_for_a_baseline_count_the_worst_trace() -> None:
    twice = [OVERWRITE, replace(OVERWRITE, ops=(8, 9))]

    (entry,) = entries_of([[OVERWRITE], twice, [OVERWRITE]]).values()

    assert entry.findings == 2
