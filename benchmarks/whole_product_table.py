"""Write how the whole product grows into the docs: a table between two markers, and a picture.

    python benchmarks/whole_product_table.py whole_product.json docs/benchmarks.md docs/growth.svg

The first is what `whole_product.py` wrote, of any sizes and steps; what was not measured is blank.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chart import Panel, Point, Series, drawn
from table import table, where
from whole_product_steps.peers import NAMES

BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"

Row = Mapping[str, Any]


def main() -> None:
    """Replace what stands between the markers, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    result = json.loads(given.result.read_text(encoding="utf-8"))
    before, _, rest = given.page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{grown(result['rows'])}\n{where(result)}\n\n{END}{after}"
    given.page.write_text(text, encoding="utf-8")
    given.picture.write_text(picture(result["rows"]), encoding="utf-8")


def sizes_of(rows: Mapping[str, Row]) -> list[int]:
    """The numbers of passages that there are rows of."""
    return sorted({int(key.split()[0]) for key in rows if key[0].isdigit()})


def of(rows: Mapping[str, Row], size: int, step: str, *path: str) -> Any:
    """A value of a step's row, or None if it was not measured."""
    found: Any = rows.get(f"{size} {step}", {})
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _number(form: str, *paths: Sequence[str], factor: float = 1.0) -> Callable[..., str]:
    """A cell of one or several values, in this format, ` / ` between; blank if one is missing."""

    def cell(rows: Mapping[str, Row], size: int) -> str:
        found = [of(rows, size, *path) for path in paths]
        return "" if None in found else " / ".join(form.format(factor * one) for one in found)

    return cell


def _times(step: str, name: str) -> Callable[..., str]:
    return _number("{:,.1f}", (step, name, "p50_ms"), (step, name, "p95_ms"))


_BUILD = ("build", "adding")
_LINES: dict[str, Callable[..., str]] = {
    "token vectors a passage": lambda rows, size: _ratio(rows, size, "token_vectors", "passages"),
    "**bytes a token of the text**": _number("**{:.1f}**", ("build", "bytes_a_token")),
    "of these late / dense / store / lexical": _number(
        "{:.1f}",
        *(
            ("build", "bytes_a_token_by_part", part)
            for part in ("late", "dense", "store", "lexical")
        ),
    ),
    "bytes a token vector": _number("{:.1f}", ("build", "bytes_a_token_vector")),
    "index, MB": _number("{:,.0f}", ("build", "bytes"), factor=1e-6),
    "adding, s of the processor": _number("{:,.1f}", (*_BUILD, "processor_s")),
    "build over encoding, by the processor": _number("{:.2f}", ("build", "over_encoding")),
    "most memory while adding, MB": _number("{:,.0f}", (*_BUILD, "memory_mb")),
    "**`hybrid`, p50 / p95 ms**": _times("search", "hybrid"),
    "`late`": _times("search", "late"),
    "`dense`": _times("search", "dense"),
    "`lexical`": _times("search", "lexical"),
    "overlap@10 with comparing all that is stored, `hybrid` / `late`": _number(
        "{:.3f}", ("overlap", "hybrid_overlap_at_10"), ("overlap", "late_overlap_at_10")
    ),
    "open and first hit, ms": _number("{:,.0f}", ("search", "open_and_first_hit_s"), factor=1e3),
    "memory while searching, MB, all / its own": _number(
        "{:,.0f}", ("search", "memory_mb", "VmRSS"), ("search", "memory_mb", "RssAnon")
    ),
    "`retrieval search`, a new process, p50 ms": _number(
        "{:,.0f}", ("cold", "retrieval_search", "p50_ms")
    ),
    "the same, in imports of numpy": _number("{:.1f}", ("cold", "in_imports_of_numpy_by_ms")),
    "adding one, p50 ms / in searches": lambda rows, size: _changed(rows, size, "add_one"),
    "deleting one": lambda rows, size: _changed(rows, size, "delete_one"),
    "1,000 single adds, s / in one add of as many": _number(
        "{:.1f}", ("change", "single_adds", "s"), ("change", "single_adds_ratio_by_s")
    ),
    "`hybrid` after them, p50 ms": _number(
        "{:.1f}", ("change", "search_after_single_adds", "p50_ms")
    ),
}


def _ratio(rows: Mapping[str, Row], size: int, above: str, below: str) -> str:
    values = of(rows, size, "build", above), of(rows, size, "build", below)
    return "" if None in values else f"{values[0] / values[1]:.0f}"


def _changed(rows: Mapping[str, Row], size: int, what: str) -> str:
    took = of(rows, size, "change", what, "p50_ms")
    searches = of(rows, size, "change", f"{what}_in_searches_by_ms")
    return "" if took is None else f"{took:,.1f} / {searches:.2f}"


def grown(rows: Mapping[str, Row]) -> str:
    """The table: a line for each measured thing, a column for each size; then the peers."""
    sizes = sizes_of(rows)
    head = [["passages", *(f"{size:,}" for size in sizes)], ["---"] * (1 + len(sizes))]
    own = [[name, *(cell(rows, size) for size in sizes)] for name, cell in _LINES.items()]
    peers = []
    for step, name in NAMES.items():
        for what, cell in (
            ("p50 / p95 ms", _times(step, "hybrid")),
            ("building, s", _number("{:,.0f}", (step, "building_s"))),
            ("vectors or index, MB", _number("{:,.0f}", (step, "bytes"), factor=1e-6)),
            (
                "memory, MB, all / its own",
                _number("{:,.0f}", (step, "memory_mb", "VmRSS"), (step, "memory_mb", "RssAnon")),
            ),
        ):
            peers.append([f"{name}: {what}", *(cell(rows, size) for size in sizes)])
    return table([*head, *(line for line in [*own, *peers] if any(line[1:]))])


_TIMES = {
    "hybrid, p50": ("search", "hybrid", "p50_ms"),
    "hybrid, p95": ("search", "hybrid", "p95_ms"),
    "retrieval search, a new process": ("cold", "retrieval_search", "p50_ms"),
    "adding one": ("change", "add_one", "p50_ms"),
    "deleting one": ("change", "delete_one", "p50_ms"),
} | {f"{name}, p50": (step, "hybrid", "p50_ms") for step, name in NAMES.items()}
_SPACE = {
    "memory, searching": ("search", "memory_mb", "VmRSS"),
    "memory, adding": ("build", "adding", "memory_mb"),
    "bytes a token of the text": ("build", "bytes_a_token"),
}


def picture(rows: Mapping[str, Row]) -> str:
    """Time and space by the number of passages, both by their logarithms."""

    def series(paths: Mapping[str, Sequence[str]]) -> list[Series]:
        found = []
        for name, path in paths.items():
            values = [(size, of(rows, size, *path)) for size in sizes_of(rows)]
            points = [Point(float(size), float(y)) for size, y in values if y]
            found += [Series(name, points)] if points else []
        return found

    panels = [
        Panel("time", "passages", "ms", series(_TIMES)),
        Panel("space", "passages", "MB; bytes", series(_SPACE)),
    ]
    return drawn([panel for panel in panels if panel.series], logarithmic=True)


if __name__ == "__main__":
    main()
