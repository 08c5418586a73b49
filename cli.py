"""The command ``streamsan``. Nothing heavy is imported before a command is known to need it."""

from __future__ import annotations

import argparse
import gc
from typing import TYPE_CHECKING, NoReturn

import streamsan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamsan.traces import Trace

SENTENCE = (
    "Happens-before is a partial order; a schedule is one of its linear extensions; a race is a "
    "pair whose order two schedules disagree on."
)
STATUS = (
    "Exit status: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage or unusable input."
)
SELDOM = 500_000
"""Objects made between two collections: walking what was just imported is a tenth of a run."""
CLEAN, FAILED, INTERRUPTED = 0, 2, 130
GRAPHS = ("graphml", "dot", "json")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    often = gc.get_threshold()
    gc.set_threshold(SELDOM, *often[1:])
    try:
        return _run(_parser().parse_args(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        gc.set_threshold(*often)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.reports.console import escape_what_the_encoding_lacks, say
    from streamsan.traces.errors import StreamsanError

    escape_what_the_encoding_lacks()
    try:
        status: int = arguments.run(arguments)
    except StreamsanError as error:
        say("error", str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001  (a traceback is no message)
        from streamsan.checkers.reports.outcome import internal

        say("error", internal(error))
        return FAILED
    return status


# --- the commands


def lint(arguments: argparse.Namespace) -> int:
    """Check traces."""
    from streamsan.checkers.reports.run import Options, run_lint
    from streamsan.checkers.settings import Settings

    settings = Settings(
        select=_listed(arguments.select),
        ignore=_listed(arguments.ignore),
        semantics=arguments.semantics,
        every=arguments.all,
    )
    return run_lint(
        Options(
            paths=tuple(arguments.paths),
            settings=settings,
            form=arguments.format,
            fail_on=arguments.fail_on,
            exit_zero=arguments.exit_zero,
            allow_damaged=arguments.allow_damaged,
            statistics=arguments.statistics,
            jobs=arguments.jobs,
        )
    )


def run_script(arguments: argparse.Namespace) -> int:
    """Run a program under the simulated device, and check its trace."""
    from streamsan.checkers.reports.child import Program
    from streamsan.checkers.reports.program import run_program
    from streamsan.checkers.reports.run import Options
    from streamsan.checkers.settings import Settings

    settings = Settings(select=_listed(arguments.select), ignore=_listed(arguments.ignore))
    return run_program(
        Program(
            script=arguments.script,
            arguments=tuple(arguments.arguments),
            lint=Options(
                paths=(),
                settings=settings,
                form=arguments.format,
                fail_on=arguments.fail_on,
                exit_zero=arguments.exit_zero,
            ),
            policy=arguments.policy,
            devices=arguments.devices,
            confirm=arguments.confirm,
            output=arguments.output,
        )
    )


def rules(arguments: argparse.Namespace) -> int:
    """List the rules."""
    from streamsan.checkers.reports import catalogue
    from streamsan.checkers.reports.console import emit

    listed = catalogue.find_rules("ALL")
    as_json = arguments.format == "json"
    text = catalogue.rules_json(listed) if as_json else catalogue.rules_text(listed)
    return CLEAN if emit(text) else FAILED


def explain(arguments: argparse.Namespace) -> int:
    """Explain one rule; a prefix lists its family."""
    from streamsan.checkers.reports import catalogue
    from streamsan.checkers.reports.console import emit

    listed = catalogue.find_rules(arguments.code)
    if arguments.format == "json":
        text = catalogue.rules_json(listed, full=True)
    elif len(listed) == 1:
        text = catalogue.explain_text(listed[0])
    else:
        text = catalogue.rules_text(listed)
    return CLEAN if emit(text) else FAILED


def convert(arguments: argparse.Namespace) -> int:
    """Write a trace in another format."""
    from streamsan.traces import load, save

    trace = load(arguments.source)
    save(trace, arguments.target, arguments.to)
    return _status_of(trace, arguments.source, arguments.allow_damaged)


def graph(arguments: argparse.Namespace) -> int:
    """Write the happens-before graph of a trace."""
    import io

    from streamsan.checkers.reports.console import emit
    from streamsan.traces import TraceError, load
    from streamsan.traces.order import HappensBefore
    from streamsan.traces.order.export import around, to_networkx, write_graph

    trace = load(arguments.trace)
    found = to_networkx(HappensBefore(trace))
    if arguments.around is not None:
        found = around(found, arguments.around, arguments.radius)
    text = io.StringIO()
    write_graph(found, arguments.format, text)
    if arguments.output is None:
        if not emit(text.getvalue()):
            return FAILED
    else:
        try:
            with open(arguments.output, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123
                file.write(text.getvalue())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TraceError(arguments.output, None, reason) from None
    return _status_of(trace, arguments.trace, arguments.allow_damaged)


def _status_of(trace: Trace, path: str, allow_damaged: bool) -> int:
    """Say that a trace is damaged: what was made of it is not the whole of it."""
    from streamsan.checkers.reports.console import say

    if trace.damage is None:
        return CLEAN
    say("warning", f"{path}: damaged: {trace.damage.reason}; {trace.damage.kept} ops were read")
    return CLEAN if allow_damaged else FAILED


# --- the arguments


class _Parser(argparse.ArgumentParser):
    """Tells of wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        from streamsan.checkers.reports.console import say

        say("error", f"{message} (try `{self.prog} --help`)")
        self.exit(FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="streamsan",
        description=f"A sanitizer for stream-ordered CUDA transfers. {SENTENCE}",
        epilog=STATUS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"streamsan {streamsan.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_lint(commands.add_parser("lint", help="check traces", epilog=STATUS, allow_abbrev=False))

    _add_run(commands.add_parser("run", help="run a torch program on a simulated GPU, and check it",
                                 epilog=f"{STATUS} A program that fails gives its own.",
                                 allow_abbrev=False))  # fmt: skip

    each = commands.add_parser("rules", help="list the rules", allow_abbrev=False)
    _add_format(each, ("text", "json"))
    each.set_defaults(run=rules)

    each = commands.add_parser("explain", help="explain a rule", allow_abbrev=False)
    each.add_argument("code", metavar="CODE", help="a code, a name, or a prefix such as SO1")
    _add_format(each, ("text", "json"))
    each.set_defaults(run=explain)

    each = commands.add_parser(
        "convert", help="write a trace in another format", allow_abbrev=False
    )
    each.add_argument("source", metavar="A", help="the trace to read; - for standard input")
    each.add_argument("target", metavar="B", help="the file to write; .gz and .zst compress it")
    each.add_argument("--to", metavar="NAME", help="the format, where B's suffix does not tell it")
    _add_allow_damaged(each)
    each.set_defaults(run=convert)

    _add_graph(commands.add_parser("graph", help="write the graph", allow_abbrev=False))
    return parser


def _add_lint(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="files, folders, globs; - for standard input")
    _add_report(parser)
    add("--statistics", action="store_true", help="count findings by rule instead of listing them")
    add("--all", action="store_true", help="list every finding, not one a cause")
    add("--jobs", type=_positive, metavar="N",
        help="processes (default: one; for large traces one a processor)")  # fmt: skip
    _add_allow_damaged(parser)
    add("--semantics", choices=("default", "strict"), default="default",
        help="strict: also report what the weakest promises allow, as possible")  # fmt: skip
    parser.set_defaults(run=lint)


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sim", action="store_true", required=True,
        help="run on the simulated device, which needs no GPU")  # fmt: skip
    add("--policy", type=_policy, default="eager", metavar="P",
        help="the schedule: eager (default), lazy, random:SEED, pct:DEPTH:SEED, directed:OP, "
        "replay:SCHEDULE")  # fmt: skip
    add("--devices", type=_positive, default=1, metavar="N", help="GPUs to simulate (default 1)")
    add("--confirm", action="store_true",
        help="run again for each finding, its first op held back, and compare values")  # fmt: skip
    add("-o", "--output", metavar="TRACE", help="keep the trace in this file")
    _add_report(parser)
    add("script", metavar="SCRIPT", help="the Python program; it may say cuda")
    add("arguments", nargs=argparse.REMAINDER, metavar="...", help="the program's own arguments")
    parser.set_defaults(run=run_script)


def _add_report(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_format(parser, ("text", "concise", "json"))
    add("--select", action="append", metavar="CODES",
        help="rules to run: codes or prefixes, with commas between them (default ALL)")  # fmt: skip
    add("--ignore", action="append", metavar="CODES", help="rules to leave out")
    add("--fail-on", choices=("error", "warning", "info"), default="error",
        help="the least severity that gives exit status 1 (default error)")  # fmt: skip
    add("--exit-zero", action="store_true", help="findings do not change the exit status")


def _add_graph(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("trace", metavar="TRACE", help="the trace; - for standard input")
    add("--around", type=_natural, metavar="OP", help="only what lies near this op")
    add("--radius", type=_natural, metavar="N", default=3, help="how near, in edges (default 3)")
    _add_format(parser, GRAPHS)
    add("-o", "--output", metavar="FILE", help="where to (default: standard output)")
    _add_allow_damaged(parser)
    parser.set_defaults(run=graph)


def _add_format(parser: argparse.ArgumentParser, forms: Sequence[str]) -> None:
    parser.add_argument("--format", choices=forms, default=forms[0],
                        help=f"(default {forms[0]})")  # fmt: skip


def _add_allow_damaged(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-damaged", action="store_true",
                        help="a damaged trace alone does not give exit status 2")  # fmt: skip


def _listed(values: Sequence[str] | None) -> tuple[str, ...]:
    parts = (part.strip() for value in values or () for part in value.split(","))
    return tuple(part for part in parts if part)


def _policy(text: str) -> str:
    """Read ``random:7`` as ``random(7)``, which shells would want quoted."""
    name, colon, rest = text.partition(":")
    if not colon or "(" in name:
        return text
    return f"{name}({rest if name == 'replay' else rest.replace(':', ',')})"


def _positive(text: str) -> int:
    if (value := _natural(text)) == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"not a number: {text[:40]!r}")
    return int(text)
