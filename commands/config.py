"""``streamsan config``: what holds here, and who says so."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from streamsan.commands import CLEAN, FAILED, Command
from streamsan.commands.arguments import add_format

if TYPE_CHECKING:
    from streamsan.checkers.policy.policy import Policy


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("key", nargs="?", metavar="KEY", help="only this key")
    add("--for", dest="path", metavar="PATH", help="what holds for a trace of this path")
    add("--select", action="append", metavar="CODES", help="as `lint` takes it")
    add("--ignore", action="append", metavar="CODES", help="as `lint` takes it")
    add("--fail-on", choices=("error", "warning", "info"), help="as `lint` takes it")
    add("--config", metavar="FILE", help="the configuration, instead of the nearest one")
    add("--isolated", action="store_true", help="no configuration at all")
    add_format(parser)


def _run(arguments: argparse.Namespace) -> int:
    from streamsan.checkers.policy.errors import unknown
    from streamsan.checkers.reports.console import emit
    from streamsan.checkers.reports.machine import as_json
    from streamsan.commands.arguments import policy_of
    from streamsan.traces.errors import UsageError

    policy = policy_of(arguments)
    policy.check()
    rows = _rows(policy, arguments)
    if arguments.key is not None:
        if arguments.key not in rows:
            raise UsageError(unknown("key", arguments.key, rows))
        rows = {arguments.key: rows[arguments.key]}
    if arguments.format == "json":
        shape = {key: {"value": value, "from": why} for key, (value, why) in rows.items()}
        return CLEAN if emit(as_json(shape)) else FAILED
    return CLEAN if emit(_table(rows, policy)) else FAILED


def _rows(policy: Policy, arguments: argparse.Namespace) -> dict[str, tuple[Any, str]]:
    """Give each key's value, and where it comes from."""
    config, path = policy.config, arguments.path
    settings = policy.settings(path)
    typed = {
        "select": arguments.select, "ignore": arguments.ignore, "fail-on": arguments.fail_on,
    }  # fmt: skip
    values: dict[str, Any] = {
        "select": list(settings.select) or ["ALL"],
        "ignore": list(settings.ignore),
        "fail-on": policy.threshold,
        "semantics": settings.semantics,
        "switches": {name.replace("_", "-"): value for name, value in settings.switches},
        "hot-regions": list(settings.hot_regions),
        "severity": dict(config.layer.severity or ()),
        "baseline": config.baseline,
        "unused-suppressions": config.unused,
        "path-map": dict(config.path_map),
        "per-path": [each.path for each in config.per_path],
        "suppress": [
            f"{' '.join(each.rules)}: {each.reason}" for each in config.suppress
        ],
    }  # fmt: skip
    return {key: (value, _why(key, policy, typed.get(key), path)) for key, value in values.items()}


def _why(key: str, policy: Policy, typed: object, path: str | None) -> str:
    """Say who decided: the command line, an entry for the path, the file, or nobody."""
    from streamsan.checkers.policy.config import Layer

    config = policy.config
    field = key.replace("-", "_")
    if typed is not None and key != "ignore":
        return "the command line"
    where = ["the command line"] if typed is not None else []
    if typed is None and key in config.where:
        where.append(config.where[key])
    if path is not None and field in Layer.__dataclass_fields__:
        theirs = [e.where for e in config.per_path
                  if e.matches(path) and getattr(e.layer, field) is not None]  # fmt: skip
        adds = key in {"ignore", "switches"}
        where = [*where, *theirs] if adds or not theirs else theirs[-1:]
    return ", ".join(where) or "default"


def _table(rows: dict[str, tuple[Any, str]], policy: Policy) -> str:
    from streamsan.checkers.reports.console import visible

    file = policy.config.file
    lines = [f"# {file or 'no configuration: no streamsan.toml, no [tool.streamsan]'}"]
    wide = max(map(len, rows))
    lines += [f"{key:{wide}} = {_value(value)}  # {why}" for key, (value, why) in rows.items()]
    return "".join(f"{visible(line)}\n" for line in lines)


def _value(value: Any) -> str:
    import json

    if value is None:
        return "none"
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value)


COMMAND = Command("show what is configured, and where", _add, _run)
