"""Pasted stack traces: is the page about the error found?

    python benchmarks/traces.py FOLDER --work FOLDER --out FILE.json

FOLDER is any folder of documents; its files are indexed in `--work` together with the 24 pages of
`traces.json`, each about the error of one trace. Traces and pages were written for this benchmark:
three traces each in the formats of eight languages' runtimes. The pages describe the error in other
words as well, and do not mention the places that a trace names. Code with tests is the hardest
background, since it has the words of those places.

Each trace is searched as pasted, by its message alone, and as a text whose lines all count alike.
Measured are each retriever's mean reciprocal rank among the first ten documents (MRR@10), and the
share of traces whose page is among the first three.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from command import run_main
from environment import environment

from retrieval.index import Index
from retrieval.indexes import parse_query
from retrieval.indexes.lexical import queries
from retrieval.service.opening import open_or_create
from retrieval.service.updating import update
from retrieval.types import RETRIEVERS, Document

TRACES = Path(__file__).with_suffix(".json")
PACKAGES = ("modernbert-retrieval", "onnxruntime", "tantivy")
DEPTH, TOP = 10, 3
"""Documents among which ranks count, and the first ones whose share is reported."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A stack trace, the line of it with the error, and the page about that error."""

    language: str
    message: str
    trace: str
    title: str
    page: str

    @property
    def id(self) -> str:
        """The id of its page."""
        return f"pages/{self.title}"


def main() -> None:
    """Index, search, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    traces = [Trace(**fields) for fields in json.loads(TRACES.read_text(encoding="utf-8"))]
    with open_or_create(args.work) as index:
        update(index, [args.folder])
        index.add([Document(trace.id, trace.page, trace.title) for trace in traces])
        status = index.status()
        rows = ranks_by_way(index, traces)
    result = {
        **environment(PACKAGES),
        "traces": len(traces),
        "documents": status.documents,
        "passages": status.passages,
        "results": summarise(rows),
        "ranks": rows,
    }
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for way, by_retriever in result["results"].items():
        print(way, *(f"\n  {name:8} {values}" for name, values in by_retriever.items()))


def ranks_by_way(index: Index, traces: Sequence[Trace]) -> dict[str, dict[str, list[int | None]]]:
    """The rank of each trace's page by way of searching and retriever; None beyond the tenth."""
    pasted = [trace.trace for trace in traces]
    ranks = {
        "pasted": rank_pages(index, traces, pasted),
        "its message alone": rank_pages(index, traces, [trace.message for trace in traces]),
    }
    with without_line_weights():
        ranks["pasted, all lines alike"] = rank_pages(index, traces, pasted)
    return ranks


def rank_pages(
    index: Index, traces: Sequence[Trace], texts: Sequence[str]
) -> dict[str, list[int | None]]:
    """The rank of each trace's page by retriever, when these texts are searched."""
    ranks: dict[str, list[int | None]] = {}
    for retriever in RETRIEVERS:
        hits_of_texts = index.search_batch(
            texts, DEPTH, retriever=retriever, group="document", highlights=False
        )
        ranks[retriever] = []
        for trace, hits in zip(traces, hits_of_texts, strict=True):
            ids = [hit.document_id for hit in hits]
            ranks[retriever].append(ids.index(trace.id) + 1 if trace.id in ids else None)
    return ranks


@contextmanager
def without_line_weights() -> Iterator[None]:
    """Treat traces as any other text: all of their lines count alike."""
    with mock.patch.object(queries, "messages", _every_line):
        parse_query.cache_clear()
        try:
            yield
        finally:
            parse_query.cache_clear()


def _every_line(lines: Sequence[str]) -> list[int]:
    """The numbers of all lines that are not blank."""
    return [number for number, line in enumerate(lines) if line.strip()]


def summarise(
    rows: Mapping[str, Mapping[str, Sequence[int | None]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """MRR@10, and the share of pages among the first three."""
    return {
        way: {
            retriever: {
                "MRR@10": round(sum(1 / rank if rank else 0.0 for rank in ranks) / len(ranks), 3),
                "first 3": round(sum(bool(rank and rank <= TOP) for rank in ranks) / len(ranks), 3),
            }
            for retriever, ranks in by_retriever.items()
        }
        for way, by_retriever in rows.items()
    }


if __name__ == "__main__":
    run_main(main)
