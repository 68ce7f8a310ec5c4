"""What `retrieval eval` and `retrieval eval compare` do."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from retrieval.cli import render
from retrieval.cli.json_output import plain_value, print_json
from retrieval.cli.progress import evaluating_bar
from retrieval.cli.style import Style, columns, safe
from retrieval.errors import InputError
from retrieval.eval import evaluate, make_systems
from retrieval.eval.compare import compare_folders, render_comparison_text
from retrieval.eval.measures import MEASURES, check_measures
from retrieval.eval.report import write_report
from retrieval.eval.results import Efficiency, Results
from retrieval.eval.wording import amount
from retrieval.types import RETRIEVERS, Retriever

NONE = "none"

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


def run_eval(
    datasets: Sequence[str],
    out: Path,
    *,
    retrievers: Sequence[str] | None,
    systems: Sequence[str],
    split: str | None,
    measures: Sequence[str] | None,
    k: int,
    queries: int | None,
    keep_texts: bool,
    as_json: bool,
) -> None:
    """Evaluate into the folder `out` and print the results; exit 1 if anything failed.

    Args:
        retrievers: of the embedded model; None is all, `none` is none.
        systems: specifications of the others.
        measures: as ir-measures names them; None is the usual ones.
        queries: how many of each collection are asked, at most; None is all.
    """
    asked = list(dict.fromkeys(measures or MEASURES))
    check_measures(asked)  # before an encoder is loaded
    chosen = make_systems(_retrievers(retrievers), systems)
    with evaluating_bar() as bar:
        results = evaluate(
            datasets,
            chosen,
            out,
            split=split,
            measures=asked,
            k=k,
            queries=queries,
            keep_texts=keep_texts,
            progress=bar,
        )
    write_report(out, results, texts=keep_texts)
    if as_json:
        print_json(_document(results, out))
    else:
        style = Style.of(sys.stdout)
        sys.stdout.write(results_table(results, style))
        sys.stdout.write(f"\nreport: {safe(str(out / 'report.html'))}\n")
        sys.stderr.write(_said(results))
    if results.failed:
        raise typer.Exit(1)


def run_compare(a: Path, b: Path, *, measure: str, systems: str | None, as_json: bool) -> None:
    """Print the comparison of two folders of results; exit 1 if nothing could be compared."""
    found = compare_folders(a, b, measure, systems=systems)
    if as_json:
        print_json(found)
    else:
        style = Style.of(sys.stdout)
        sys.stdout.write(render_comparison_text(found, width=style.width, dress=style.dress))
    if not found.compared:
        raise typer.Exit(1)


def results_table(results: Results, style: Style) -> str:
    """Measures and costs of each collection, a line for each system; the best is marked."""
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
                render.count(protocol.documents, "document"),
                amount(protocol.judged_queries, "query", "queries"),
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


def _said(results: Results) -> str:
    """Warnings and failures, a line each."""
    lines = [
        f"{safe(protocol.collection)}: {safe(warning)}\n"
        for protocol in results.protocols
        for warning in protocol.warnings
    ]
    lines += [f"failed: {safe(name)}: {safe(why)}\n" for name, why in results.failed.items()]
    return "".join(lines)


def _document(results: Results, out: Path) -> object:
    facts = plain_value(results)
    del facts["per_query"]  # large; it is in the folder
    return facts | {"out": str(out)}


def _retrievers(given: Sequence[str] | None) -> list[Retriever]:
    if not given:
        return list(RETRIEVERS)
    if list(given) == [NONE]:
        return []
    unknown = next((name for name in given if name not in RETRIEVERS), None)
    if unknown is not None:
        raise InputError(
            f"retriever {unknown!r} is unknown; choose from {', '.join(RETRIEVERS)}, or none alone"
        )
    return [name for name in RETRIEVERS if name in given]
