"""Makes findings: the same evidence, in the same words, whatever rule speaks.

Every finding on two ops carries both with name, line, thread and stack, the bytes in conflict,
the last op that comes before both, the edge that is missing, a wait that almost made it, and the
narrowest edge that would.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamsan.checkers.facts.conflicts import Conflict
from streamsan.checkers.facts.graph_races import GraphRace
from streamsan.checkers.facts.identity import Identity
from streamsan.checkers.finding import Confidence, Finding, Severity
from streamsan.traces.order import HappensBefore
from streamsan.traces.order.edges import Line
from streamsan.traces.order.explain import last_common, nearly

_DOES = {(False, False): "reads", (True, False): "writes"}
LONGEST = 60
"""Characters of a name in a sentence: kernel names run to thousands."""
WIDEST = 64
"""Accesses of one op looked at for the bytes in conflict."""
FULL_ACCOUNTS = 100
"""Findings that get the last common point and the near miss; each costs a walk over the trace."""


class Evidence:
    """Describes ops of one trace."""

    def __init__(self, order: HappensBefore) -> None:
        """Keep the order."""
        self.order = order
        self.trace = order.trace
        self.identity = Identity(order.trace)
        self._full_accounts = 0

    # --- words

    def line(self, op: int, node: int | None = None) -> str:
        """Name the line of an op (or of one of its nodes): a stream, ``host:T``, ``agent:A``."""
        node = int(self.order.graph.op_node[op]) if node is None else node
        if node < 0:
            return f"host:{self.trace[op].thread}"
        lane = int(self.order.graph.node_lane[node])
        if self.order.graph.lane_line[lane] is Line.TASK:
            return f"host:task:{self.trace[op].obj}"
        return self.order.graph.lane_label[lane]

    def call(self, op: int) -> str:
        """Name an op in a sentence: ``op 5 (memcpy)``."""
        view = self.trace[op]
        name = view.name if len(view.name) <= LONGEST else view.name[: LONGEST - 3] + "..."
        return f"op {op} ({name})"

    def _account(self, op: int, node: int | None, does: str) -> dict[str, Any]:
        view = self.trace[op]
        account: dict[str, Any] = {
            "op": op, "word": view.word, "name": view.name, "line": self.line(op, node),
            "thread": view.thread, "does": does, "stack": list(view.stack),
        }  # fmt: skip
        if view.via is not None:
            account["via"] = view.via
        return account

    def site_key(self, ops: tuple[int, ...]) -> tuple[object, ...]:
        """Give the cause's identity: the sites; an op without one is a site of its own."""
        sites = self.trace.site
        return tuple(("site", int(sites[op])) if sites[op] >= 0 else ("op", op) for op in ops)

    # --- findings

    def make(  # noqa: PLR0917 - the parts of a finding, in their order
        self,
        code: str,
        name: str,
        severity: Severity,
        kind: str,
        ops: tuple[int, ...],
        message: str,
        hint: str,
        *,
        confidence: Confidence = "certain",
        fix: dict[str, Any] | None = None,
        buffer: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> Finding:
        """Make a finding that speaks of ops, not of two conflicting accesses."""
        accounts = [self._account(op, None, "") for op in ops]
        return Finding(
            rule=code, name=name, severity=severity, confidence=confidence, kind=kind, ops=ops,
            message=message, hint=hint, buffer=buffer,
            streams=tuple(a["line"] for a in accounts), fix=fix,
            details={"accesses": accounts, **(details or {})},
            fingerprint=self.identity.fingerprint(code, kind, ops, buffer),
        )  # fmt: skip

    def pair(
        self,
        code: str,
        name: str,
        severity: Severity,
        conflict: Conflict,
        hint: str,
        *,
        message: str | None = None,
    ) -> Finding:
        """Make a finding of an unordered conflict."""
        placed = self.order.placed
        nodes = [int(placed.node[i]) for i in (conflict.first, conflict.second)]
        does = [self._does(i) for i in (conflict.first, conflict.second)]
        buffer = self.buffer_name(conflict.named)
        accounts = [
            self._account(op, node, word)
            for op, node, word in zip(conflict.ops, nodes, does, strict=True)
        ]
        details: dict[str, Any] = {"accesses": accounts, **self.missing(conflict.ops)}
        if conflict.changes_tenant:
            details["reuse"] = {
                "former": self.buffer_name(conflict.former),
                "free": int(self.trace.buffers.free[conflict.former]),
                "malloc": int(self.trace.buffers.malloc[conflict.buffer]),
            }
        if message is None:
            message = (
                f"{self.call(conflict.ops[0])} {does[0]} {buffer} on {accounts[0]['line']} and "
                f"{self.call(conflict.ops[1])} {does[1]} it on {accounts[1]['line']}: "
                "nothing orders the two"
            )
        return Finding(
            rule=code, name=name, severity=severity, confidence=conflict.confidence,
            kind=conflict.kind, ops=conflict.ops, message=message, hint=hint, buffer=buffer,
            range=self.span(conflict), streams=tuple(a["line"] for a in accounts),
            fix=self.fix(conflict.first, conflict.second), details=details, count=conflict.count,
            fingerprint=self.identity.fingerprint(code, conflict.kind, conflict.ops, buffer),
        )  # fmt: skip

    def in_graph(self, code: str, name: str, severity: Severity, race: GraphRace) -> Finding:
        """Make a finding of two nodes of one graph launch: its ops are that launch twice."""
        launch, (i, j) = race.launch, race.nodes
        message = (
            f"nodes {i} ({race.words[0]}) and {j} ({race.words[1]}) of the graph that "
            f"{self.call(launch)} runs both use {race.buffer}, and no edge of the graph orders them"
        )
        finding = self.make(
            code, name, severity, race.kind, (launch, launch), message,
            f"add an edge from node {i} to node {j} to the capture", buffer=race.buffer,
        )  # fmt: skip
        mark = self.identity.fingerprint(
            code, race.kind, (launch, launch), race.buffer, *race.words
        )
        return replace(
            finding, nodes=race.nodes, range=race.range, count=race.times, fingerprint=mark
        )

    def _does(self, access: int) -> str:
        placed = self.order.placed
        if placed.escape[access]:
            return "may touch"
        return "writes" if placed.write[access] else "reads"

    def missing(self, ops: tuple[int, ...]) -> dict[str, Any]:
        """Say which edge is missing, what came before both, and what almost made it."""
        one, two = ops[0], ops[-1]
        found: dict[str, Any] = {
            "missing": f"no path of stream order, events or waits leads from op {one} to op {two}"
        }
        self._full_accounts += 1
        if self._full_accounts > FULL_ACCOUNTS:
            return found
        common = last_common(self.order, one, two)
        if common is not None:
            found["common"] = {"op": common, "call": self.call(common)}
        near = nearly(self.order, one, two)
        if near is not None:
            found["nearly"] = {"kind": near.kind, "wait": near.wait, "words": near.words}
        return found

    def buffer_name(self, buffer: int) -> str:
        """Name a buffer."""
        return self.trace.names[int(self.trace.buffers.name[buffer])]

    def span(self, conflict: Conflict) -> tuple[int, int] | None:
        """Give (offset, length) of the smallest span that holds the bytes in conflict.

        All accesses of the two ops to the two buffers count: a kernel may touch one several times.
        None where the buffer's size is not known and all of it is in conflict.
        """
        placed, buffers = self.order.placed, self.trace.buffers
        found = [
            overlap
            for one in self._accesses(conflict.first, conflict.former)
            for two in self._accesses(conflict.second, conflict.buffer)
            if placed.write[one] or placed.write[two] or conflict.confidence == "possible"
            if (overlap := placed.places.overlap(int(placed.place[one]), int(placed.place[two])))
        ]
        if not found:
            return None
        low, high = min(span[0] for span in found), max(span[1] for span in found)
        buffer = conflict.named
        start = int(buffers.start[buffer])
        if int(buffers.size[buffer]) < 0 and high - start >= int(buffers.extent[buffer]):
            return None
        return max(0, low - start), high - low

    def _accesses(self, access: int, buffer: int) -> list[int]:
        """Give the accesses to a buffer at the node of one of them, it first."""
        placed = self.order.placed
        found, node = [access], placed.node[access]
        for step in (-1, 1):
            other = access + step
            while 0 <= other < len(placed) and placed.node[other] == node and len(found) < WIDEST:
                if placed.places.buffer[placed.place[other]] == buffer:
                    found.append(other)
                other += step
        return found

    # --- the narrowest fix

    def fix(self, first: int, second: int) -> dict[str, Any] | None:
        """Give a record right after one access and a wait right before the other.

        None where no single record and wait repairs it: the first access is not on a stream, or
        the second runs ahead of everything but its call.
        """
        placed = self.order.placed
        return self.edge(
            int(placed.op[first]), int(placed.node[first]),
            int(placed.op[second]), int(placed.node[second]),
        )  # fmt: skip

    def edge(self, after: int, source: int, before: int, target: int) -> dict[str, Any] | None:
        """Give the edge from a node of op ``after`` to a node of op ``before``."""
        graph, stream_of = self.order.graph, self.trace.streams.of_op
        from_line = graph.lane_line[int(graph.node_lane[source])]
        if from_line not in (Line.STREAM, Line.SIDE) or after >= before:
            return None
        wait: dict[str, Any] = {"before": before}
        if graph.lane_line[int(graph.node_lane[target])] is Line.STREAM:
            wait["stream"] = self.trace.streams.label[int(graph.node_lane[target])]
        else:
            wait["thread"] = self.trace[before].thread
        record = {"after": after, "stream": self.trace.streams.label[int(stream_of[after])]}
        return {"record": record, "wait": wait}

    def fix_words(self, fix: dict[str, Any] | None, otherwise: str) -> str:
        """Say a fix in words."""
        if fix is None:
            return otherwise
        record, wait = fix["record"], fix["wait"]
        waiter = (
            f"let {wait['stream']} wait for it"
            if "stream" in wait
            else f"synchronise with it on {wait['thread']}"
        )
        return (
            f"record an event on {record['stream']} right after op {record['after']}, and "
            f"{waiter} right before op {wait['before']}"
        )
