"""A report for a README or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from retrieval.eval.report.data import Mark, Marks
from retrieval.eval.results import Efficiency, Protocol, Results, Row

LEVEL = 0.05
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#$])")


def markdown(results: Results, marks: Marks, *, reference: str | None = None) -> str:
    """Tables of collections by systems, one a measure; then what it cost, and the protocol.

    Args:
        marks: of `marks_of(results)`.
        reference: the system that the others are compared with; the first if not given.
    """
    systems = results.systems
    reference = reference or (systems[0] if systems else None)
    parts = ["# Evaluation", _facts(results)]
    if reference is not None:
        for measure in results.measures:
            parts += [f"## {_text(measure)}", _quality(results, marks, measure, reference)]
        if len(systems) > 1:
            parts.append(_legend(reference))
    if results.efficiency:
        parts += ["## Cost", _cost(results.efficiency)]
    if results.failed:
        parts += ["## Failed", _list(results.failed.items())]
    if results.protocols:
        parts.append("## Protocol")
        parts += [_protocol(protocol) for protocol in results.protocols]
    return "\n\n".join(parts) + "\n"


def _facts(results: Results) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return _text("; ".join(part for part in (results.created, machine, versions) if part))


def _quality(results: Results, marks: Marks, measure: str, reference: str) -> str:
    systems = results.systems
    cells = {(r.collection, r.system): r for r in results.rows if r.measure == measure}
    compared = marks.get(reference, {}).get(measure, {})
    lines = []
    for collection in results.collections:
        found = [cells.get((collection, system)) for system in systems]
        best = max((row.value for row in found if row), default=0.0)
        shown = [
            _cell(row, best, compared.get(collection, {}).get(system))
            for system, row in zip(systems, found, strict=True)
        ]
        queries = max((row.queries for row in found if row), default=0)
        lines.append([_text(collection), f"{queries:,}", *shown])
    columns = [
        [row.value for c in results.collections if (row := cells.get((c, s)))] for s in systems
    ]
    if len(results.collections) > 1 and all(len(c) == len(results.collections) for c in columns):
        means = [f"{sum(column) / len(column):.4f}" for column in columns]
        lines.append(["*mean*", "", *means])
    return _table(["collection", "queries", *(_text(s) for s in systems)], lines, left=1)


def _cell(row: Row | None, best: float, mark: Mark | None) -> str:
    if row is None:
        return "–"
    value = f"{row.value:.4f}"
    shown = f"**{value}**" if row.value == best else value
    if row.low is not None and row.high is not None:
        shown += f" ({row.low:.3f}–{row.high:.3f})"
    if mark is not None and mark.p <= LEVEL:
        shown += " ▲" if mark.difference > 0 else " ▼"
    return shown


def _legend(reference: str) -> str:
    return (
        f"In brackets: 95 % confidence interval (BCa bootstrap over queries). ▲ ▼: better or worse "
        f"than {_text(reference)}, p ≤ 0.05 (paired randomisation test, Holm-corrected over the "
        "systems and collections of a table). Bold: the highest value of a collection."
    )


_COSTS = {
    "build_s": ("build, s", ",.1f"),
    "tokens_per_s": ("tokens/s", ",.0f"),
    "index_bytes_per_document": ("bytes/document", ",.0f"),
    "qps": ("queries/s", ",.1f"),
    "p50_ms": ("p50, ms", ",.1f"),
    "p95_ms": ("p95, ms", ",.1f"),
    "p99_ms": ("p99, ms", ",.1f"),
    "peak_rss_mb": ("peak memory, MB", ",.0f"),
}


def _cost(costs: Sequence[Efficiency]) -> str:
    lines = []
    for cost in costs:
        figures = []
        for name, (_, form) in _COSTS.items():
            value = getattr(cost, name)
            figures.append("–" if value is None else format(value, form))
        lines.append([_text(cost.collection), _text(cost.system), *figures])
    return _table(["collection", "system", *(title for title, _ in _COSTS.values())], lines, left=2)


def _protocol(protocol: Protocol) -> str:
    return f"### {_text(protocol.collection)}\n\n" + _list(protocol_facts(protocol))


def protocol_facts(protocol: Protocol) -> list[tuple[str, str]]:
    """A protocol as pairs of what and how."""

    def tokens(number: int | None) -> str:
        return "no limit" if number is None else f"{number:,} tokens"

    prompts = "; ".join(f"{name}: {text!r}" for name, text in protocol.prompts.items())
    # Lengths are a system's own where each says what it did.
    lengths = [(f"system {name}", said) for name, said in protocol.systems.items()] or [
        ("passages", tokens(protocol.passage_tokens)),
        ("maximum length", tokens(protocol.max_tokens)),
    ]
    return [
        ("split", protocol.split),
        ("documents", f"{protocol.documents:,}"),
        ("queries", f"{protocol.queries:,}, {protocol.judged_queries:,} of them judged"),
        ("text", protocol.text),
        *lengths,
        ("prompts", prompts or "none"),
        ("passages to documents", protocol.aggregation),
        ("ties", protocol.ties),
        ("documents with the query's own id", protocol.identical_ids),
        ("queries without judgements", protocol.unjudged),
        ("SHA-256 of the data", protocol.dataset_sha256),
        *(("warning", warning) for warning in protocol.warnings),
    ]


def _list(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in pairs)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    rule = ["---" if at < left else "--:" for at in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _text(text: str) -> str:
    """On one line, and nothing in it read as Markdown or HTML."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return _SPECIAL.sub(r"\\\1", line).replace("&", "&amp;")
