"""What an index takes, by its parts, and what each way to make it smaller costs in quality.

    python benchmarks/index_size.py COLLECTION... --work FOLDER --out results.json
    python benchmarks/index_size.py --draw results.json --out docs/index-size.svg

COLLECTION is a folder in BEIR's format. Each is indexed once with token vectors uncompressed and
once by each of `SETTINGS`, by the embedded model, whose vectors are kept in memory between; a
document scores as its best passage. What is done is in the results, and goes on from there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from chart import Panel, Point, Series, line_chart
from command import run_main
from environment import environment
from json_files import write_json

from retrieval.encoders import load_encoder
from retrieval.eval import load, means
from retrieval.eval.runs import run_documents
from retrieval.eval.sampling import sampled
from retrieval.index import Index
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, LateOptions, Retriever

PACKAGES = ("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy", "ir-measures")
MEASURE = "nDCG@10"
PASSAGE_TOKENS = 256
RETRIEVERS: tuple[Retriever, ...] = ("late", "hybrid")
UNCOMPRESSED = "uncompressed"
DEFAULT = "default"
SETTINGS = {
    UNCOMPRESSED: LateOptions(exact_passages=10**9, list_passages=10**9),
    DEFAULT: LateOptions(),
    "2 bits": LateOptions(bits=2),
    "half": LateOptions(bits=2, pooling=2),
    "small": LateOptions.small(),
    "a quarter": LateOptions(bits=2, pooling=4),
}


class CachingEncoder:
    """The embedded model, which encodes no text twice.

    Attributes:
        tokens: of the documents' texts that it was given so far, each once.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._inner = load_encoder()
        self._known: dict[tuple[str, str], Embeddings] = {}

    def __getattr__(self, name: str) -> Any:
        # Not what encodes ahead, which would pass this by.
        if name in ("start_documents", "encode_spans"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """As the model does."""
        return self._all("document", texts)

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """As the model does."""
        return self._all("query", texts)

    def forget(self) -> None:
        """Start over with another collection."""
        self._known.clear()
        self.tokens = 0

    def _all(self, side: str, texts: Sequence[str]) -> Embeddings:
        new = list(dict.fromkeys(text for text in texts if (side, text) not in self._known))
        if new:
            if side == "document":
                self.tokens += sum(len(self._inner.token_spans(text)) + 2 for text in new)
            of = self._inner
            found = (of.encode_documents if side == "document" else of.encode_queries)(new)
            self._known |= {(side, text): _one(found, at) for at, text in enumerate(new)}
        parts = [self._known[side, text] for text in texts]
        return Embeddings(
            _joined([part.dense for part in parts]),
            _joined([part.tokens for part in parts]),
            offsets_of([len(part.tokens) for part in parts]),
            _joined([part.windows for part in parts]),
            offsets_of([len(part.windows) for part in parts])
            if parts[0].windows is not None
            else None,
        )


def _one(found: Embeddings, at: int) -> Embeddings:
    tokens = found.tokens[found.offsets[at] : found.offsets[at + 1]].copy()
    windows = None
    if found.windows is not None:
        first, last = found.window_offsets[at : at + 2]
        windows = found.windows[first:last].copy()
    return Embeddings(found.dense[at : at + 1].copy(), tokens, None, windows, None)


def _joined(arrays: list[Any]) -> Any:
    return None if arrays[0] is None else np.concatenate(arrays)


def measured(
    source: str, encoder: CachingEncoder, work: Path, queries: int, settings: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each of these settings."""
    collection = sampled(load(source, None)[0], queries)
    rows = []
    for name in settings:
        late = SETTINGS[name]
        folder = work / collection.name / name.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        with Index.create(
            folder, encoder=encoder, passage_tokens=PASSAGE_TOKENS, late=late
        ) as index:
            index.add(collection.documents)
        # Opened anew: what is written ahead of the database has gone into it by then.
        with Index.open(folder, encoder=encoder) as index:
            status = index.status()
            vectors = index.measure(list(collection.queries.values())[:1], k=1, depth=1).tokens
            row = {
                "collection": collection.name,
                "setting": name,
                "queries": len(collection.queries),
                "passages": status.passages,
                "tokens": encoder.tokens,
                "token_vectors": vectors,
                "text": sum(len(d.text.encode()) for d in collection.documents),
                "bytes": status.bytes,
                "bytes_by_part": dict(status.bytes_by_part),
                "segments": status.segments,
            }
            for retriever in RETRIEVERS:
                run = run_documents(index, collection.queries, retriever=retriever, k=10)
                row[retriever] = means(collection.judgements, run, (MEASURE,))[MEASURE]
        print(row, flush=True)
        rows.append(row)
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each setting's means over the collections, and what it loses, in points."""
    found = []
    full = {row["collection"]: row for row in rows if row["setting"] == UNCOMPRESSED}
    # A token is one of the text: skipping punctuation and pooling leave fewer vectors.
    total = sum(row["tokens"] for row in full.values())
    for name in SETTINGS:
        own = [row for row in rows if row["setting"] == name]
        found.append(
            {
                "setting": name,
                "collections": len(full),
                "bytes_a_token": sum(row["bytes"] for row in own) / total,
                "late_bytes_a_token": sum(row["bytes_by_part"]["late"] for row in own) / total,
                "bytes_over_text": sum(row["bytes"] for row in own)
                / sum(row["text"] for row in own),
            }
            | {
                retriever: float(np.mean([row[retriever] for row in own]))
                for retriever in RETRIEVERS
            }
            | {
                f"{retriever}_lost": 100
                * float(
                    np.mean([full[row["collection"]][retriever] - row[retriever] for row in own])
                )
                for retriever in RETRIEVERS
            }
        )
    return found


def picture(results: dict[str, Any]) -> str:
    """Quality against bytes; the default's mark is hollow."""
    panels = []
    for retriever in reversed(RETRIEVERS):
        points = [
            Point(one["bytes_a_token"], one[retriever], filled=one["setting"] != DEFAULT)
            for one in results["means"]
        ]
        series = Series(", ".join(SETTINGS), points)
        panels.append(Panel(retriever, "bytes a token, everything counted", MEASURE, [series]))
    count = results["means"][0]["collections"]
    return line_chart(panels, note=f"Means of {count} collections. Hollow: the default.")


def main() -> None:
    """Measure what is not measured yet, or draw what is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*", help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=300, help="of a collection, at most")
    parser.add_argument("--work", type=Path, help="folder for indexes")
    parser.add_argument("--draw", type=Path, help="results to draw")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.draw:
        args.out.write_text(picture(json.loads(args.draw.read_text())), encoding="utf-8")
        return
    rows: list[dict[str, Any]] = []
    if args.out.exists():
        rows = json.loads(args.out.read_text())["rows"]
    encoder = CachingEncoder()
    for source in args.collections:
        done = {row["setting"] for row in rows if row["collection"] == Path(source).name}
        if missing := [name for name in SETTINGS if name not in done]:
            rows += measured(source, encoder, args.work, args.queries, missing)
            encoder.forget()
            result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows}
            result["means"] = summary(rows)
            write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
