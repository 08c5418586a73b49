"""Builds the documentation: ``python docs/build.py SITE`` writes HTML, with nothing to install.

The pages are the Markdown files here; the rules' pages are made of the rules' own docstrings, and
the table of ops of the types that read them. Markdown is rendered by markdown-it-py, which comes
with rich.
"""

from __future__ import annotations

import argparse
import html
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = (
    "index", "tutorial", "recording", "ci", "pytest", "configuration", "verdicts", "trace-format",
    "rules/index", "hardware", "faq",
)  # fmt: skip
_LINK = re.compile(r'href="([^":#]+)\.md(#[^"]*)?"')
_MARK = "<!-- generated: ops -->"
STYLE = """body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif}
pre{background:#8881;padding:.7rem;overflow:auto}code{font-size:.9em}nav a{margin-right:.8rem}
table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2rem .5rem;text-align:left}"""


def pages() -> dict[str, str]:
    """Give every page's Markdown by its name, the written ones and the generated ones."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.md"))}
    found["trace-format"] = found["trace-format"].replace(_MARK, "\n".join(_ops()))
    return {**found, **_rules()}


def _ops() -> Iterator[str]:
    from streamsan.traces.ops import OPS

    yield "| op | what | keys of its own |"
    yield "|---|---|---|"
    common = set(OPS[0].__mro__[1].__struct_fields__)
    for each in OPS:
        word = each.__struct_config__.tag
        keys = ", ".join(f"`{key}`" for key in each.__struct_fields__ if key not in common)
        what = " ".join((inspect.getdoc(each) or "").split("\n\n")[0].split()).replace("|", "\\|")
        yield f"| `{word}` | {what} | {keys} |"


def _rules() -> dict[str, str]:
    """Make a page for each rule, and a list of them."""
    from streamsan.checkers.rule import HEADINGS, rules

    found = {}
    listed = ["# The rules", "", "| code | name | severity | |", "|---|---|---|---|"]
    for code, rule in rules().items():
        listed.append(f"| [{code}]({code}.md) | {rule.name} | {rule.severity} | {rule.title} |")
        lines = [f"# {code} {rule.name}", "", rule.title, "", f"Severity: {rule.severity}."]
        if rule.needs:
            lines[-1] += f" Needs to know: {', '.join(rule.needs)}."
        for heading in HEADINGS:
            text = rule.section(heading)
            fence = heading in ("Bad", "Good")
            lines += ["", f"## {heading}", "", f"```text\n{text}\n```" if fence else text]
        found[f"rules/{code}"] = "\n".join(lines) + "\n"
    return {"rules/index": "\n".join(listed) + "\n", **found}


def page_html(name: str, text: str) -> str:
    """Render one page."""
    from markdown_it import MarkdownIt

    up = "../" * name.count("/")
    title = text.partition("\n")[0].lstrip("# ")
    nav = " ".join(f'<a href="{up}{each}.html">{each.split("/")[0]}</a>' for each in ORDER)
    plain = re.sub(r"<!--.*?-->\n?", "", text)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(plain)
    body = _LINK.sub(r'href="\1.html\2"', body)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<nav>{nav}</nav>\n{body}</html>\n"
    )


def main() -> None:
    """Write the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the folder to write")
    site: Path = parser.parse_args().site
    for name, text in pages().items():
        file = site / f"{name}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page_html(name, text), encoding="utf-8")
    sys.stdout.write(f"wrote {len(pages())} pages to {site}\n")


if __name__ == "__main__":
    main()
