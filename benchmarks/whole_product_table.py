"""Writes how the whole product scales into the documentation: a table between two markers, a chart.

    python benchmarks/whole_product_table.py whole_product.json docs/benchmarks.md docs/growth.svg

The input is what `whole_product.py` wrote, of any sizes and steps. A cell without a value is blank.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chart import Panel, Point, Series, line_chart
from table import markdown_table, provenance
from whole_product_steps.peers import NAMES

BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"

Row = Mapping[str, Any]


def main() -> None:
    """Replace the text between the markers, and draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    result = json.loads(args.result.read_text(encoding="utf-8"))
    before, _, rest = args.page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = (
        f"{before}{BEGIN}\n\n{scaling_table(result['rows'])}\n{provenance(result)}\n\n{END}{after}"
    )
    args.page.write_text(text, encoding="utf-8")
    args.picture.write_text(scaling_chart(result["rows"]), encoding="utf-8")


def sizes_of(rows: Mapping[str, Row]) -> list[int]:
    """The numbers of passages that there are rows for, ascending."""
    return sorted({int(key.split()[0]) for key in rows if key[0].isdigit()})


def step_value(rows: Mapping[str, Row], size: int, step: str, *path: str) -> Any:
    """A value of a step's row, or None if it was not measured."""
    value: Any = rows.get(f"{size} {step}", {})
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _cell(template: str, *paths: Sequence[str], factor: float = 1.0) -> Callable[..., str]:
    """A cell of one or several values, formatted and joined by ` / `; blank if one is missing."""

    def cell(rows: Mapping[str, Row], size: int) -> str:
        values = [step_value(rows, size, *path) for path in paths]
        return (
            ""
            if None in values
            else " / ".join(template.format(factor * value) for value in values)
        )

    return cell


def _latency_cell(step: str, name: str) -> Callable[..., str]:
    """A cell of a retriever's p50 and p95 in milliseconds."""
    return _cell("{:,.1f}", (step, name, "p50_ms"), (step, name, "p95_ms"))


_ADDING = ("build", "adding")
_METRICS: dict[str, Callable[..., str]] = {
    "token vectors a passage": lambda rows, size: _build_ratio(
        rows, size, "token_vectors", "passages"
    ),
    "**bytes a token of the text**": _cell("**{:.1f}**", ("build", "bytes_a_token")),
    "of these late / dense / store / lexical": _cell(
        "{:.1f}",
        *(
            ("build", "bytes_a_token_by_part", part)
            for part in ("late", "dense", "store", "lexical")
        ),
    ),
    "bytes a token vector": _cell("{:.1f}", ("build", "bytes_a_token_vector")),
    "index, MB": _cell("{:,.0f}", ("build", "bytes"), factor=1e-6),
    "adding, s of the processor": _cell("{:,.1f}", (*_ADDING, "processor_s")),
    "build over encoding, by the processor": _cell("{:.2f}", ("build", "over_encoding")),
    "most memory while adding, MB": _cell("{:,.0f}", (*_ADDING, "memory_mb")),
    "**`hybrid`, p50 / p95 ms**": _latency_cell("search", "hybrid"),
    "`late`": _latency_cell("search", "late"),
    "`dense`": _latency_cell("search", "dense"),
    "`lexical`": _latency_cell("search", "lexical"),
    "overlap@10 with comparing all that is stored, `hybrid` / `late`": _cell(
        "{:.3f}", ("overlap", "hybrid_overlap_at_10"), ("overlap", "late_overlap_at_10")
    ),
    "open and first hit, ms": _cell("{:,.0f}", ("search", "open_and_first_hit_s"), factor=1e3),
    "memory while searching, MB, all / its own": _cell(
        "{:,.0f}", ("search", "memory_mb", "VmRSS"), ("search", "memory_mb", "RssAnon")
    ),
    "`retrieval search`, a new process, p50 ms": _cell(
        "{:,.0f}", ("cold", "retrieval_search", "p50_ms")
    ),
    "the same, in imports of numpy": _cell("{:.1f}", ("cold", "in_imports_of_numpy_by_ms")),
    "adding one, p50 ms / in searches": lambda rows, size: _change_cell(rows, size, "add_one"),
    "deleting one": lambda rows, size: _change_cell(rows, size, "delete_one"),
    "1,000 single adds, s / in one add of as many": _cell(
        "{:.1f}", ("change", "single_adds", "s"), ("change", "single_adds_ratio_by_s")
    ),
    "`hybrid` after them, p50 ms": _cell(
        "{:.1f}", ("change", "search_after_single_adds", "p50_ms")
    ),
}


def _build_ratio(rows: Mapping[str, Row], size: int, numerator: str, denominator: str) -> str:
    """A cell of the quotient of two values of the build."""
    values = (
        step_value(rows, size, "build", numerator),
        step_value(rows, size, "build", denominator),
    )
    return "" if None in values else f"{values[0] / values[1]:.0f}"


def _change_cell(rows: Mapping[str, Row], size: int, operation: str) -> str:
    """A cell of a change's p50 in milliseconds, and as a multiple of a search."""
    p50 = step_value(rows, size, "change", operation, "p50_ms")
    in_searches = step_value(rows, size, "change", f"{operation}_in_searches_by_ms")
    return "" if p50 is None else f"{p50:,.1f} / {in_searches:.2f}"


def scaling_table(rows: Mapping[str, Row]) -> str:
    """The table: a row per metric and a column per size, then the peers."""
    sizes = sizes_of(rows)
    head = [["passages", *(f"{size:,}" for size in sizes)], ["---"] * (1 + len(sizes))]
    product_rows = [
        [name, *(cell(rows, size) for size in sizes)] for name, cell in _METRICS.items()
    ]
    peer_rows = []
    for step, name in NAMES.items():
        for metric, cell in (
            ("p50 / p95 ms", _latency_cell(step, "hybrid")),
            ("building, s", _cell("{:,.0f}", (step, "building_s"))),
            ("vectors or index, MB", _cell("{:,.0f}", (step, "bytes"), factor=1e-6)),
            (
                "memory, MB, all / its own",
                _cell("{:,.0f}", (step, "memory_mb", "VmRSS"), (step, "memory_mb", "RssAnon")),
            ),
        ):
            peer_rows.append([f"{name}: {metric}", *(cell(rows, size) for size in sizes)])
    return markdown_table([*head, *(line for line in [*product_rows, *peer_rows] if any(line[1:]))])


_TIME_SERIES = {
    "hybrid, p50": ("search", "hybrid", "p50_ms"),
    "hybrid, p95": ("search", "hybrid", "p95_ms"),
    "retrieval search, a new process": ("cold", "retrieval_search", "p50_ms"),
    "adding one": ("change", "add_one", "p50_ms"),
    "deleting one": ("change", "delete_one", "p50_ms"),
} | {f"{name}, p50": (step, "hybrid", "p50_ms") for step, name in NAMES.items()}
_SPACE_SERIES = {
    "memory, searching": ("search", "memory_mb", "VmRSS"),
    "memory, adding": ("build", "adding", "memory_mb"),
    "bytes a token of the text": ("build", "bytes_a_token"),
}


def scaling_chart(rows: Mapping[str, Row]) -> str:
    """Time and space by the number of passages, on logarithmic axes."""

    def series(paths: Mapping[str, Sequence[str]]) -> list[Series]:
        lines = []
        for name, path in paths.items():
            values = [(size, step_value(rows, size, *path)) for size in sizes_of(rows)]
            points = [Point(float(size), float(y)) for size, y in values if y]
            lines += [Series(name, points)] if points else []
        return lines

    panels = [
        Panel("time", "passages", "ms", series(_TIME_SERIES)),
        Panel("space", "passages", "MB; bytes", series(_SPACE_SERIES)),
    ]
    return line_chart([panel for panel in panels if panel.series], logarithmic=True)


if __name__ == "__main__":
    main()
