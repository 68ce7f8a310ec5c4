"""Pasted traces: is the page about what happened found?

    python benchmarks/traces.py FOLDER --work FOLDER --out FILE.json

FOLDER is any folder of documents; its files are indexed in `--work`, and beside them the 24 pages
of `traces.json`, each about what one trace says. Traces and pages are of our own making, in the
forms that the runtimes of eight languages print, three of each; the pages tell what happened in
other words as well, and know nothing of the places that a trace names. Code and its tests are the
best background, since they hold the words of the places.

Each trace is asked as it is pasted; by its message alone, which nobody takes the trouble to cut
out; and as a text whose lines are all alike. Of each retriever the mean reciprocal rank among the
first ten documents (MRR@10), and the share of traces whose page is among the first three.
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
FIRST, BEST = 10, 3
"""Documents among which the rank counts, and those that are looked at."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What is pasted, the line of it that says what happened, and the page about that."""

    language: str
    message: str
    trace: str
    title: str
    page: str

    @property
    def id(self) -> str:
        """Of its page."""
        return f"pages/{self.title}"


def main() -> None:
    """Index, ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    traces = [Trace(**one) for one in json.loads(TRACES.read_text(encoding="utf-8"))]
    with open_or_create(args.work) as index:
        update(index, [args.folder])
        index.add([Document(one.id, one.page, one.title) for one in traces])
        counts = index.status()
        rows = asked(index, traces)
    result = {
        **environment(PACKAGES),
        "traces": len(traces),
        "documents": counts.documents,
        "passages": counts.passages,
        "results": summary(rows),
        "ranks": rows,
    }
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for way, found in result["results"].items():
        print(way, *(f"\n  {name:8} {values}" for name, values in found.items()))


def asked(index: Index, traces: Sequence[Trace]) -> dict[str, dict[str, list[int | None]]]:
    """By how it is asked and by whom, the rank of each trace's page; None beyond the first ten."""
    pasted = [one.trace for one in traces]
    rows = {
        "pasted": ranks(index, traces, pasted),
        "its message alone": ranks(index, traces, [one.message for one in traces]),
    }
    with lines_alike():
        rows["pasted, all lines alike"] = ranks(index, traces, pasted)
    return rows


def ranks(
    index: Index, traces: Sequence[Trace], texts: Sequence[str]
) -> dict[str, list[int | None]]:
    """Of each retriever, the rank of each trace's page when it is asked so."""
    found: dict[str, list[int | None]] = {}
    for retriever in RETRIEVERS:
        answers = index.search_batch(
            texts, FIRST, retriever=retriever, group="document", highlights=False
        )
        found[retriever] = []
        for one, hits in zip(traces, answers, strict=True):
            listed = [hit.document_id for hit in hits]
            found[retriever].append(listed.index(one.id) + 1 if one.id in listed else None)
    return found


@contextmanager
def lines_alike() -> Iterator[None]:
    """Traces are texts as any other: none of their lines is told from another."""
    with mock.patch.object(queries, "messages", _every_line):
        parse_query.cache_clear()
        yield
    parse_query.cache_clear()


def _every_line(lines: Sequence[str]) -> list[int]:
    return [place for place, line in enumerate(lines) if line.strip()]


def summary(
    rows: Mapping[str, Mapping[str, Sequence[int | None]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """MRR@10 and the share among the first three."""
    return {
        way: {
            retriever: {
                "MRR@10": round(sum(1 / rank if rank else 0.0 for rank in found) / len(found), 3),
                "first 3": round(
                    sum(bool(rank and rank <= BEST) for rank in found) / len(found), 3
                ),
            }
            for retriever, found in by.items()
        }
        for way, by in rows.items()
    }


if __name__ == "__main__":
    run_main(main)
