"""The published figures: BM25, all-MiniLM-L6-v2 and the embedded model on test collections.

    python benchmarks/published.py COLLECTION... --minilm FOLDER --work FOLDER

Runs `retrieval eval` without texts, and writes `benchmarks/results/collections.json`, the report
`docs/benchmarks.html` and the tables in `docs/benchmarks.md`. It goes on where it was stopped.
`--anew` measures again and keeps only what MiniLM has encoded, whose build time is then not given;
`--tables` writes the tables anew from the JSON.
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

from retrieval.eval import evaluate, make_systems
from retrieval.eval.report import write_report
from retrieval.eval.report.data import marks_of
from retrieval.types import RETRIEVERS, ProgressCallback, ProgressUpdate

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

MEASURES = ("nDCG@10", "RR@10", "R@100", "Judged@10")
SHOWN = MEASURES[0]
REFERENCES = {"bm25s": "B", "MiniLM": "M"}
LEVEL = 0.05
MOST_BYTES = 1_500_000
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

SAID = f"""
```
python benchmarks/published.py COLLECTION... --minilm FOLDER --work FOLDER
```

It runs `retrieval eval` on folders in BEIR's format. `lexical`, `dense`, `late` and `hybrid` are of
the embedded model's index; `bm25s` is BM25 (Lucene's variant, English stemmer), `MiniLM` is
all-MiniLM-L6-v2 through sentence-transformers, which reads 256 tokens of a document. Ours reads all
of it, in passages of 256 tokens; a document scores as its best passage.
[benchmarks.html](benchmarks.html) is the report, with intervals, other measures and the protocol;
download it to open it.

▲ ▼: better or worse than BM25 (B) or MiniLM (M), p ≤ {LEVEL} by a paired randomisation test,
Holm-corrected over all collections and systems. Bold: the highest value.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """What is written: the figures as JSON, the page with their tables, and the report."""

    results: Path = ROOT / "benchmarks" / "results" / "collections.json"
    page: Path = ROOT / "docs" / "benchmarks.md"
    report: Path = ROOT / "docs" / "benchmarks.html"


def main(arguments: Sequence[str] | None = None, places: Places = Places()) -> None:
    """Measure, and write all three.

    Args:
        arguments: of the command line; None is that of the process.
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
            forget(args.work)
        found = measured(args, places.report)
        places.results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    text = places.page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{places.page} lacks the line {BEGIN} or {END}")
    tables = render(json.loads(places.results.read_text(encoding="utf-8")))
    places.page.write_text(f"{before}{BEGIN}\n{SAID}\n{tables}\n{END}{after}", encoding="utf-8")


def forget(work: Path) -> None:
    """Drop what was measured and our indexes; the vectors of other models stay."""
    shutil.rmtree(work / "state", ignore_errors=True)
    for folder in work.glob("indexes/*/index-*"):
        shutil.rmtree(folder)


def measured(given: argparse.Namespace, report: Path) -> dict[str, Any]:
    """Evaluate, write the report, and return what is to be committed."""
    systems = make_systems([], ["bm25s", f"st:MiniLM={given.minilm}", *RETRIEVERS])
    results = evaluate(
        given.collections,
        systems,
        given.work,
        measures=MEASURES,
        queries=given.queries,
        keep_texts=False,
        progress=progress_lines(),
    )
    if results.failed:
        sys.exit("; ".join(f"{name} failed: {why}" for name, why in results.failed.items()))
    write_report(given.work, results, texts=False)
    size = (given.work / "report.html").stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"the report has {size:,} bytes, more than {MOST_BYTES:,}; give fewer queries")
    shutil.copyfile(given.work / "report.html", report)
    marks = marks_of(results)
    facts = dataclasses.asdict(results)
    del facts["per_query"]
    return (
        environment(PACKAGES)
        | {name: facts[name] for name in ("schema_version", "rows", "efficiency", "protocols")}
        | {
            "marks": {
                reference: {
                    collection: {name: [mark.difference, mark.p] for name, mark in found.items()}
                    for collection, found in marks[reference][SHOWN].items()
                }
                for reference in REFERENCES
            }
        }
    )


def progress_lines() -> ProgressCallback:
    """Says each collection and system once, with the time left."""
    last = ""

    def tell(now: ProgressUpdate) -> None:
        nonlocal last
        what = now.stage.rstrip("0123456789,/ ")
        if what != last:
            last, left = what, now.seconds_left
            print(what + (f"; {left:,.0f} s left" if left else ""), file=sys.stderr, flush=True)

    return tell


def render(result: Mapping[str, Any]) -> str:
    """Quality, and three tables of what it cost."""
    values = {
        (row["collection"], row["system"]): row for row in result["rows"] if row["measure"] == SHOWN
    }
    collections = list(dict.fromkeys(collection for collection, _ in values))
    systems = list(dict.fromkeys(system for _, system in values))
    head = [[SHOWN, *systems], ["---", *["--:"] * len(systems)]]
    body = []
    for collection in collections:
        found = [values[collection, system] for system in systems]
        best = max(row["value"] for row in found)
        cells = [
            f"{_value(row['value'], best)}{_marks(result['marks'], collection, row['system'])}"
            for row in found
        ]
        body.append([f"{collection} ({found[0]['queries']:,} queries)", *cells])
    means = [sum(values[c, s]["value"] for c in collections) / len(collections) for s in systems]
    body.append(["*mean*", *(_value(mean, max(means)) for mean in means)])
    quality = markdown_table(head + body)
    costs = {(cost["collection"], cost["system"]): cost for cost in result["efficiency"]}

    def cost(title: str, field: str, form: str, columns: Mapping[str, str]) -> str:
        rows = [[title, *columns.values()], ["---", *["--:"] * len(columns)]]
        for collection in collections:
            found = [costs[collection, system][field] for system in columns]
            rows.append([collection, *("–" if v is None else format(v, form) for v in found)])
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


def _value(value: float, best: float) -> str:
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def _marks(marks: Mapping[str, Any], collection: str, system: str) -> str:
    """What is shown against either reference: ` ▲B▼M`."""
    said = ""
    for reference, letter in REFERENCES.items():
        difference, p = marks[reference].get(collection, {}).get(system, (0.0, 1.0))
        if p <= LEVEL:
            said += ("▲" if difference > 0 else "▼") + letter
    return f" {said}" if said else ""


if __name__ == "__main__":
    run_main(main)
