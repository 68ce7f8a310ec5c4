"""The size of an index by its parts, and the quality that each way to shrink it costs.

    python benchmarks/index_size.py COLLECTION... --work FOLDER --out results.json
    python benchmarks/index_size.py --draw results.json --out docs/index-size.svg

COLLECTION is a folder in BEIR's format. Each is indexed by the embedded model with each of
`SETTINGS`; vectors are cached between. A document scores as its best passage. Settings that the
results have already are not measured again.
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
        tokens: of all different document texts so far, special tokens included.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._inner = load_encoder()
        self._cache: dict[tuple[str, str], Embeddings] = {}

    def __getattr__(self, name: str) -> Any:
        # Encoding ahead would bypass the cache.
        if name in ("start_documents", "encode_spans"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The embedded model's vectors, cached."""
        return self._encode("document", texts)

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """The embedded model's vectors, cached."""
        return self._encode("query", texts)

    def forget(self) -> None:
        """Empty the cache, before another collection."""
        self._cache.clear()
        self.tokens = 0

    def _encode(self, side: str, texts: Sequence[str]) -> Embeddings:
        new = list(dict.fromkeys(text for text in texts if (side, text) not in self._cache))
        if new:
            if side == "document":
                self.tokens += sum(len(self._inner.token_spans(text)) + 2 for text in new)
            inner = self._inner
            encode = inner.encode_documents if side == "document" else inner.encode_queries
            embeddings = encode(new)
            self._cache |= {
                (side, text): _embeddings_at(embeddings, row) for row, text in enumerate(new)
            }
        parts = [self._cache[side, text] for text in texts]
        return Embeddings(
            _concatenate([part.dense for part in parts]),
            _concatenate([part.tokens for part in parts]),
            offsets_of([len(part.tokens) for part in parts]),
            _concatenate([part.windows for part in parts]),
            offsets_of([len(part.windows) for part in parts])
            if parts[0].windows is not None
            else None,
        )


def _embeddings_at(embeddings: Embeddings, row: int) -> Embeddings:
    """A copy of the embeddings of one text."""
    tokens = embeddings.tokens[embeddings.offsets[row] : embeddings.offsets[row + 1]].copy()
    windows = None
    if embeddings.windows is not None:
        first, last = embeddings.window_offsets[row : row + 2]
        windows = embeddings.windows[first:last].copy()
    return Embeddings(embeddings.dense[row : row + 1].copy(), tokens, None, windows, None)


def _concatenate(arrays: list[Any]) -> Any:
    """The arrays joined, or None if there are none."""
    return None if arrays[0] is None else np.concatenate(arrays)


def measure_settings(
    source: str, encoder: CachingEncoder, work: Path, queries: int, settings: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each of the settings."""
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
        # Reopened, so that the write-ahead log has been merged into the database and counts once.
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


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each setting's means over the collections, and the points of quality that it loses."""
    summary = []
    uncompressed = {row["collection"]: row for row in rows if row["setting"] == UNCOMPRESSED}
    # Tokens are those of the text: skipped punctuation and pooling leave fewer vectors.
    tokens = sum(row["tokens"] for row in uncompressed.values())
    for name in SETTINGS:
        setting_rows = [row for row in rows if row["setting"] == name]
        summary.append(
            {
                "setting": name,
                "collections": len(uncompressed),
                "bytes_a_token": sum(row["bytes"] for row in setting_rows) / tokens,
                "late_bytes_a_token": sum(row["bytes_by_part"]["late"] for row in setting_rows)
                / tokens,
                "bytes_over_text": sum(row["bytes"] for row in setting_rows)
                / sum(row["text"] for row in setting_rows),
            }
            | {
                retriever: float(np.mean([row[retriever] for row in setting_rows]))
                for retriever in RETRIEVERS
            }
            | {
                f"{retriever}_lost": 100
                * float(
                    np.mean(
                        [
                            uncompressed[row["collection"]][retriever] - row[retriever]
                            for row in setting_rows
                        ]
                    )
                )
                for retriever in RETRIEVERS
            }
        )
    return summary


def size_chart(results: dict[str, Any]) -> str:
    """Quality against bytes; the default's mark is hollow."""
    panels = []
    for retriever in reversed(RETRIEVERS):
        points = [
            Point(mean["bytes_a_token"], mean[retriever], filled=mean["setting"] != DEFAULT)
            for mean in results["means"]
        ]
        series = Series(", ".join(SETTINGS), points)
        panels.append(Panel(retriever, "bytes a token, everything counted", MEASURE, [series]))
    count = results["means"][0]["collections"]
    return line_chart(panels, note=f"Means of {count} collections. Hollow: the default.")


def main() -> None:
    """Measure missing settings and write the results, or draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*", help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=300, help="of a collection, at most")
    parser.add_argument("--work", type=Path, help="folder for indexes")
    parser.add_argument("--draw", type=Path, help="results to draw")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.draw:
        args.out.write_text(size_chart(json.loads(args.draw.read_text())), encoding="utf-8")
        return
    rows: list[dict[str, Any]] = []
    if args.out.exists():
        rows = json.loads(args.out.read_text())["rows"]
    encoder = CachingEncoder()
    for source in args.collections:
        measured = {row["setting"] for row in rows if row["collection"] == Path(source).name}
        if missing := [name for name in SETTINGS if name not in measured]:
            rows += measure_settings(source, encoder, args.work, args.queries, missing)
            encoder.forget()
            result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows}
            result["means"] = summarise(rows)
            write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
