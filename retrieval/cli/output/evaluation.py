"""Results of `retrieval eval`, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import count
from retrieval.cli.output.style import Style
from retrieval.service.printable import columns, safe

if TYPE_CHECKING:
    from retrieval.eval.results import Efficiency, Results

_COSTS = (
    ("build s", "build_s", "{:,.1f}"),
    ("tokens/s", "tokens_per_s", "{:,.0f}"),
    ("bytes/doc", "index_bytes_per_document", "{:,.0f}"),
    ("queries/s", "qps", "{:,.0f}"),
    ("p50 ms", "p50_ms", "{:,.1f}"),
    ("p95 ms", "p95_ms", "{:,.1f}"),
    ("p99 ms", "p99_ms", "{:,.1f}"),
    ("peak MB", "peak_rss_mb", "{:,.0f}"),
)


def results_table(results: Results, style: Style) -> str:
    """Measures and costs of each collection, one line per system; the best is marked."""
    parts = []
    for protocol in results.protocols:
        name = protocol.collection
        found = [row for row in results.rows if row.collection == name]
        values: dict[str, dict[str, float]] = {}
        for row in found:
            values.setdefault(row.system, {})[row.measure] = row.value
        facts = ", ".join(
            (
                protocol.split,
                count(protocol.documents, "document"),
                count(protocol.judged_queries, "query", "queries"),
            )
        )
        title = f"{style.dress('title', safe(name))} ({safe(facts)})\n"
        parts.append(title + _quality(values, style))
        costs = [cost for cost in results.efficiency if cost.collection == name]
        parts += filter(None, [_costs(costs, style)])
    return "\n".join(parts)


def _quality(values: Mapping[str, Mapping[str, float]], style: Style) -> str:
    measures = list(next(iter(values.values())))
    best = {m: max(one[m] for one in values.values()) for m in measures}
    rows = [("system", *measures)]
    rows += [(safe(name), *(f"{one[m]:.4f}" for m in measures)) for name, one in values.items()]
    marks = {
        (number, place)
        for number, one in enumerate(values.values(), start=1)
        for place, m in enumerate(measures, start=1)
        if one[m] == best[m] and len(values) > 1
    }
    return _aligned(rows, marks, style)


def _costs(costs: Sequence[Efficiency], style: Style) -> str:
    shown = [c for c in _COSTS if any(getattr(cost, c[1]) is not None for cost in costs)]
    if not shown:
        return ""
    rows = [("system", *(title for title, _, _ in shown))]
    for cost in costs:
        cells = ((getattr(cost, name), form) for _, name, form in shown)
        texts = ("" if value is None else form.format(value) for value, form in cells)
        rows.append((safe(cost.system), *texts))
    return _aligned(rows, set(), style)


def _aligned(rows: Sequence[Sequence[str]], marks: set[tuple[int, int]], style: Style) -> str:
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = []
        for place, cell in enumerate(row):
            pad = " " * (widths[place] - columns(cell))
            shown = style.dress("mark", cell) if (number, place) in marks else cell
            cells.append(shown + pad if place == 0 else pad + shown)
        line = "  ".join(cells).rstrip()
        lines.append((style.dress("faint", line) if number == 0 else line) + "\n")
    return "".join(lines)


def warnings_and_failures(results: Results) -> str:
    """Warnings and failures, one per line."""
    lines = [
        f"{safe(protocol.collection)}: {safe(warning)}\n"
        for protocol in results.protocols
        for warning in protocol.warnings
    ]
    lines += [f"failed: {safe(name)}: {safe(why)}\n" for name, why in results.failed.items()]
    return "".join(lines)
