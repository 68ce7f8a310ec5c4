"""The published figures: BM25, all-MiniLM-L6-v2 and the embedded model on test collections.

    python benchmarks/published.py COLLECTION... --minilm FOLDER --work FOLDER

Runs `retrieval eval` without texts, and writes `benchmarks/results/collections.json`, the report
`docs/benchmarks.html` and the tables in `docs/benchmarks.md`. Continues an interrupted run.
`--anew` measures again and keeps only the vectors of MiniLM, whose build time is then not
given; `--tables` only writes the tables again from the JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from table import markdown_table, provenance

from retrieval.errors import InputError
from retrieval.eval import evaluate, make_systems
from retrieval.eval.report import write_report
from retrieval.eval.report.data import marks_of
from retrieval.eval.results import Row
from retrieval.eval.systems import System
from retrieval.types import RETRIEVERS, ProgressCallback, ProgressUpdate

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

MEASURES = ("nDCG@10", "RR@10", "R@100", "Judged@10")
MEASURE = MEASURES[0]
REFERENCES = {"bm25s": "B", "MiniLM": "M"}
ALPHA = 0.05  # significance level
MAX_REPORT_BYTES = 1_500_000
PACKAGES = (
    "modernbert-retrieval",
    "onnxruntime",
    "faiss-cpu",
    "tantivy",
    "numpy",
    "torch",
    "bm25s",
    "sentence-transformers",
)

PREAMBLE = f"""
```
python benchmarks/published.py COLLECTION... --minilm FOLDER --work FOLDER
```

It runs `retrieval eval` on folders in BEIR's format. `lexical`, `dense`, `late` and `hybrid` are of
the embedded model's index; `bm25s` is BM25 (Lucene's variant, English stemmer), `MiniLM` is
all-MiniLM-L6-v2 through sentence-transformers, which reads 256 tokens of a document. Ours reads all
of it, in passages of 256 tokens; a document scores as its best passage.
[benchmarks.html](benchmarks.html) is the report, with intervals, other measures and the protocol;
download it to open it.

▲ ▼: better or worse than BM25 (B) or MiniLM (M), p ≤ {ALPHA} by a paired randomisation test,
Holm-corrected over all collections and systems. Bold: the highest value.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Outputs:
    """The files that are written.

    Attributes:
        results: the figures as JSON.
        page: the page of the documentation with their tables.
        report: the report of `retrieval eval`.
    """

    results: Path = ROOT / "benchmarks" / "results" / "collections.json"
    page: Path = ROOT / "docs" / "benchmarks.md"
    report: Path = ROOT / "docs" / "benchmarks.html"


def main(arguments: Sequence[str] | None = None, outputs: Outputs = Outputs()) -> None:
    """Evaluate, and write all three outputs.

    Args:
        arguments: of the command line; None for those of the process.
        outputs: where to write.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*")
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--work", type=Path, help="folder for indexes and runs")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--anew", action="store_true", help="measure again what was measured")
    parser.add_argument("--tables", action="store_true", help="only write the tables again")
    args = parser.parse_args(arguments)
    if not args.tables:
        if not (args.collections and args.minilm and args.work):
            parser.error("give collections, --minilm and --work, or --tables")
        if args.anew:
            discard_measurements(args.work)
        result = evaluate_systems(args, outputs.report)
        outputs.results.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    text = outputs.page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{outputs.page} lacks the line {BEGIN} or {END}")
    rendered = tables(json.loads(outputs.results.read_text(encoding="utf-8")))
    outputs.page.write_text(
        f"{before}{BEGIN}\n{PREAMBLE}\n{rendered}\n{END}{after}", encoding="utf-8"
    )


def discard_measurements(work: Path) -> None:
    """Delete results and our indexes; the vectors of other models stay."""
    shutil.rmtree(work / "state", ignore_errors=True)
    for folder in work.glob("indexes/*/index-*"):
        shutil.rmtree(folder)


def evaluate_systems(args: argparse.Namespace, report: Path) -> dict[str, Any]:
    """Evaluate, write the report, and return the figures to be committed."""
    systems = make_systems([], ["bm25s", f"st:MiniLM={args.minilm}", *RETRIEVERS])
    results = evaluate(
        args.collections,
        systems,
        args.work,
        measures=MEASURES,
        queries=args.queries,
        keep_texts=False,
        progress=progress_printer(),
    )
    if results.failed:
        sys.exit("; ".join(f"{name} failed: {why}" for name, why in results.failed.items()))
    write_report(args.work, results, texts=False)
    size = (args.work / "report.html").stat().st_size
    if size > MAX_REPORT_BYTES:
        sys.exit(
            f"the report has {size:,} bytes, more than {MAX_REPORT_BYTES:,}; give fewer queries"
        )
    shutil.copyfile(args.work / "report.html", report)
    marks = marks_of(results)
    facts = dataclasses.asdict(results)
    del facts["per_query"]
    return (
        environment(PACKAGES)
        | {name: facts[name] for name in ("schema_version", "rows", "efficiency", "protocols")}
        | {
            "marks": {
                reference: {
                    collection: {
                        name: [mark.difference, mark.p] for name, mark in by_system.items()
                    }
                    for collection, by_system in marks[reference][MEASURE].items()
                }
                for reference in REFERENCES
            }
        }
    )


def published_values() -> dict[tuple[str, str], dict[str, Any]]:
    """The committed rows of `MEASURE`, by collection and system."""
    rows = json.loads(Outputs().results.read_text(encoding="utf-8"))["rows"]
    return {(row["collection"], row["system"]): row for row in rows if row["measure"] == MEASURE}


def evaluate_measure(
    collections: Sequence[str], systems: Sequence[System], work: Path, queries: int
) -> Sequence[Row]:
    """Evaluate systems by `MEASURE` alone.

    Raises:
        InputError: a system failed.
    """
    results = evaluate(
        collections,
        systems,
        work,
        measures=[MEASURE],
        queries=queries,
        keep_texts=False,
        progress=progress_printer(),
    )
    if results.failed:
        raise InputError("; ".join(f"{name}: {why}" for name, why in results.failed.items()))
    return results.rows


def published_row(
    published: Mapping[tuple[str, str], dict[str, Any]], row: Row, system: str
) -> dict[str, Any]:
    """The committed row to compare a new one with.

    Raises:
        InputError: there is none, or it is of other queries.
    """
    found = published.get((row.collection, system))
    if found is None or found["queries"] != row.queries:
        raise InputError(
            f"{row.collection}: {row.queries} queries of {system} are not in "
            f"{Outputs().results}; expected the collections and --queries of published.py"
        )
    return found


def progress_printer() -> ProgressCallback:
    """A callback that prints each collection and system once, with the time left."""
    last = ""

    def print_stage(update: ProgressUpdate) -> None:
        nonlocal last
        stage = update.stage.rstrip("0123456789,/ ")
        if stage != last:
            last, left = stage, update.seconds_left
            print(stage + (f"; {left:,.0f} s left" if left else ""), file=sys.stderr, flush=True)

    return print_stage


def tables(result: Mapping[str, Any]) -> str:
    """The table of quality, and three of costs, as Markdown."""
    values = {
        (row["collection"], row["system"]): row
        for row in result["rows"]
        if row["measure"] == MEASURE
    }
    collections = list(dict.fromkeys(collection for collection, _ in values))
    systems = list(dict.fromkeys(system for _, system in values))
    head = [[MEASURE, *systems], ["---", *["--:"] * len(systems)]]
    body = []
    for collection in collections:
        found = [values[collection, system] for system in systems]
        best = max(row["value"] for row in found)
        cells = [
            _format_value(row["value"], best)
            + _significance_marks(result["marks"], collection, row["system"])
            for row in found
        ]
        body.append([f"{collection} ({found[0]['queries']:,} queries)", *cells])
    means = [sum(values[c, s]["value"] for c in collections) / len(collections) for s in systems]
    body.append(["*mean*", *(_format_value(mean, max(means)) for mean in means)])
    quality = markdown_table(head + body)
    costs = {(cost["collection"], cost["system"]): cost for cost in result["efficiency"]}

    def cost(title: str, field: str, spec: str, columns: Mapping[str, str]) -> str:
        rows = [[title, *columns.values()], ["---", *["--:"] * len(columns)]]
        for collection in collections:
            values = [costs[collection, system][field] for system in columns]
            rows.append([collection, *("–" if v is None else format(v, spec) for v in values)])
        return markdown_table(rows)

    return "\n".join(
        (
            quality,
            cost("p50 of a query, ms", "p50_ms", ".1f", {name: name for name in systems}),
            cost(
                "index, bytes a document",
                "index_bytes_per_document",
                ",.0f",
                {"bm25s": "bm25s", "MiniLM": "MiniLM", "hybrid": "ours"},
            ),
            cost(
                "indexing, tokens/s",
                "tokens_per_s",
                ",.0f",
                {"MiniLM": "MiniLM", "lexical": "ours"},
            ),
            provenance(result) + "\n",
        )
    )


def _format_value(value: float, best: float) -> str:
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def _significance_marks(marks: Mapping[str, Any], collection: str, system: str) -> str:
    """Significant differences from the references, such as ` ▲B▼M`."""
    shown = ""
    for reference, letter in REFERENCES.items():
        difference, p = marks[reference].get(collection, {}).get(system, (0.0, 1.0))
        if p <= ALPHA:
            shown += ("▲" if difference > 0 else "▼") + letter
    return f" {shown}" if shown else ""


if __name__ == "__main__":
    run_main(main)
