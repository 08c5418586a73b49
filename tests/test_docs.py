"""The documentation: every command in it is run and its output compared; every link leads on."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("*.md"))
TORCH = {"tutorial", "recording", "pytest"}
_BLOCK = re.compile(r"(?:<!-- (file|status): (\S+) -->\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


class Command(NamedTuple):
    words: list[str]
    output: str
    status: int


def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps(text: str) -> list[Command | tuple[str, str]]:
    """Give the files that a page has, and its commands, in their order."""
    found: list[Command | tuple[str, str]] = []
    for kind, value, language, body in _BLOCK.findall(text):
        if kind == "file":
            found.append((value, body))
        elif language == "console":
            status = int(value) if kind == "status" else 0
            for part in body.split("$ ")[1:]:
                line, _, output = part.partition("\n")
                found.append(Command(shlex.split(line), output, status))
    return found


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[str]:
    plug = [] if entry_points(group="pytest11", name="streamsan") else [
        "-p", "streamsan.pytest_plugin"]  # fmt: skip
    tools = {
        "streamsan": ["-m", "streamsan"],
        "pytest": ["-m", "pytest", *plug, "-p", "no:cacheprovider", "-c", "/dev/null",
                   "--rootdir", str(folder)],
    }  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
    return subprocess.run(
        [sys.executable, *tools[command.words[0]], *command.words[1:]], cwd=folder,
        env={**environment, "COLUMNS": "88"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_does_what_the_page_says(page: str, tmp_path: Path) -> None:
    if page in TORCH:
        pytest.importorskip("torch")
    (tmp_path / ".git").mkdir()
    for step in steps((DOCS / f"{page}.md").read_text(encoding="utf-8")):
        if not isinstance(step, Command):
            (tmp_path / step[0]).write_text(step[1], encoding="utf-8")
            continue
        done = run(step, tmp_path)
        assert done.returncode == step.status, (step.words, done.stdout, done.stderr)
        if step.output.strip() == "...":
            assert done.stdout
        else:
            said = "".join(line for line in done.stderr.splitlines(keepends=True)
                           if ": gate: " not in line)  # fmt: skip
            if step.words[0] == "pytest":  # its last line holds the time
                done.stdout = done.stdout.rpartition("\n")[0].rpartition("\n")[0] + "\n"
            assert done.stdout + said == step.output, step.words


def test_the_pages_have_commands() -> None:
    texts = [(DOCS / f"{page}.md").read_text(encoding="utf-8") for page in PAGES]

    assert sum(isinstance(step, Command) for text in texts for step in steps(text)) >= 18


def test_every_command_of_the_tool_that_pages_name_exists() -> None:
    from streamsan.commands import commands

    known = {name for name, _ in commands()}
    named = {
        word
        for page in PAGES
        for word in re.findall(r"`streamsan ([a-z]+)", (DOCS / f"{page}.md").read_text())
    }

    assert named <= known


def test_every_link_leads_somewhere() -> None:
    pages = build().pages()

    for name, text in pages.items():
        folder = name.rpartition("/")[0]
        for link in _LINK.findall(text):
            target = f"{folder}/{link}" if folder else link
            assert target.removesuffix(".md") in pages, (name, link)


def test_the_site_is_built_from_the_rules_themselves(tmp_path: Path) -> None:
    from streamsan.checkers.rule import rules

    done = subprocess.run(
        [sys.executable, str(DOCS / "build.py"), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for code, rule in rules().items():
        page = (tmp_path / "rules" / f"{code}.html").read_text(encoding="utf-8")
        assert rule.name in page
        assert "<h2>Limits</h2>" in page
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="tutorial.html"' in index
    assert ".md" not in index
    assert "<table>" in (tmp_path / "trace-format.html").read_text(encoding="utf-8")


def test_the_action_takes_what_the_page_gives_it() -> None:
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    page = (DOCS / "ci.md").read_text(encoding="utf-8")

    given = re.search(r"uses: OWNER/streamsan@REVISION\n.*?with:\n(.*?)\n  - uses", page, re.DOTALL)
    assert given is not None
    for key in re.findall(r"^      ([\w-]+):", given[1], re.MULTILINE):
        assert re.search(rf"^  {key}:$", action, re.MULTILINE), key
    # An input in the text of a script would be run as code.
    scripts = re.findall(r"run: \|\n((?: {8}.*\n|\n)+)", action)
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)


@pytest.mark.parametrize(
    ("name", "taken"),
    [("a.trace.jsonl", True), ("x/a.trace.jsonl.gz", True), ("a.trace.npz", True),
     ("a.json", False), ("a.trace.jsonl.txt", False)],
)  # fmt: skip
def test_the_hook_takes_traces(name: str, taken: bool) -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    pattern = re.search(r"files: (.*)", hook)

    assert pattern is not None
    assert bool(re.search(pattern[1], name)) is taken


@pytest.mark.slow
def test_the_action_runs(tmp_path: Path) -> None:
    """Run the action's second step as a runner does, with a tool that is already installed."""
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    script = re.findall(r"run: \|\n((?: {8}.*\n|\n)+)", action)[1]
    tool = tmp_path / "streamsan" / "bin" / "streamsan"
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m streamsan "$@"\n')
    tool.chmod(0o755)
    trace = next(s for s in steps((DOCS / "ci.md").read_text()) if not isinstance(s, Command))
    (tmp_path / "a b.trace.jsonl").write_text(trace[1])

    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    done = subprocess.run(
        [bash, "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "RUNNER_TEMP": str(tmp_path), "PATHS": "a b.trace.jsonl\n",
             "BASELINE": "", "ARGS": "--select\nSO1\n", "SARIF": "s.sarif",
             "GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "sum")},
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert "\n::error file=loop.py,line=4," in done.stdout
    assert (tmp_path / "out").read_text() == "status=1\nsarif=s.sarif\n"
    assert (tmp_path / "s.sarif").exists()
    assert "SO112" in (tmp_path / "sum").read_text()
