"""What repeated words, the number of terms and common words of a query are worth: nDCG@10.

    python benchmarks/lexical_queries.py COLLECTION... --work FOLDER --out FILE.json

COLLECTION is a folder in BEIR's format, whose test queries are used, at most 1,000 of them; a
document scores as its best passage. `k3 = 0` counts a repeated word once, a large k3 as often as it
occurs. Common words may together weigh a share of the rarest word's weight beyond their own
Robertson-Spärck Jones weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json
from numpy.typing import NDArray

from retrieval.encoders import load_encoder
from retrieval.eval import load, means
from retrieval.eval.sampling import sampled
from retrieval.index import Index
from retrieval.indexes import LexicalIndex, parse_query
from retrieval.indexes.lexical import queries, statistics
from retrieval.types import Embeddings

PASSAGES = 300
UNLIMITED = 1e9
VARIANTS = {  # k3, most terms, share that common words may weigh beyond their own weights
    "as often as it is there": (1e9, 256, UNLIMITED),
    "k3 = 0": (0.0, 256, UNLIMITED),
    "k3 = 1": (1.0, 256, UNLIMITED),
    "k3 = 2": (2.0, 256, UNLIMITED),
    "k3 = 8": (8.0, 256, UNLIMITED),
    "k3 = 2, 64 terms": (2.0, 64, UNLIMITED),
    "k3 = 2, 32 terms": (2.0, 32, UNLIMITED),
    "k3 = 2, 16 terms": (2.0, 16, UNLIMITED),
    **{
        f"k3 = 2, 64 terms, common ones {share} of the rarest": (2.0, 64, share)
        for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
    },
}


class CuttingEncoder:
    """An encoder that splits passages as the embedded model does, and encodes nothing."""

    name = fingerprint = "cutter"
    dense_dim, token_dim = 1, None

    def __init__(self) -> None:
        self._model = load_encoder(None)
        self.max_tokens = self._model.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Those of the embedded model."""
        return self._model.token_spans(text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Dense vectors of ones."""
        return Embeddings(np.ones((len(texts), 1), np.float32), None, None)

    encode_queries = encode_documents


@contextmanager
def patched_settings(k3: float, terms: int, common: float) -> Iterator[None]:
    """Search with the settings of one variant."""
    with (
        mock.patch.object(queries, "_K3", k3),
        mock.patch.object(statistics, "_MOST_TERMS", terms),
        mock.patch.object(statistics, "_MOST_COMMON", common),
    ):
        parse_query.cache_clear()
        try:
            yield
        finally:
            parse_query.cache_clear()


def measure_collection(folder: Path, work: Path, most: int) -> dict[str, float]:
    """nDCG@10 of every variant on one collection."""
    (collection,) = load(str(folder), None)
    collection = sampled(collection, most)
    path, encoder = work / collection.name, CuttingEncoder()
    values = {}
    exists = path.exists()
    with (
        Index.open(path, encoder=encoder)
        if exists
        else Index.create(path, encoder=encoder) as index
    ):
        index.add(collection.documents)
        with index._using() as snapshot:
            document_by_passage = _document_by_passage(index)
            assert snapshot.lexical is not None
            for name, settings in VARIANTS.items():
                with patched_settings(*settings):
                    run = {
                        id: _best_passages(snapshot.lexical, text, document_by_passage)
                        for id, text in collection.queries.items()
                    }
                values[name] = means(collection.judgements, run, ("nDCG@10",))["nDCG@10"]
    return values


def _document_by_passage(index: Index) -> dict[int, str]:
    """The document's id by passage id."""
    with index._using() as snapshot:
        store = snapshot.store
        numbers = store.numbers().tolist()
        names = store.documents(numbers)
        return {row.id: names[number].id for number in numbers for row in store.passages_of(number)}


def _best_passages(
    lexical: LexicalIndex, text: str, document_by_passage: dict[int, str]
) -> dict[str, float]:
    """The score of each document's best passage, of the first 100 documents."""
    ids, scores = lexical.search(text, PASSAGES)
    best: dict[str, float] = {}
    for id, score in zip(ids.tolist(), scores.tolist(), strict=True):
        best.setdefault(document_by_passage[id], score)
    return dict(list(best.items())[:100])


def main() -> None:
    """Measure every collection, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+", metavar="COLLECTION")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = {}
    for folder in args.collections:
        rows[folder.name] = measure_collection(folder, args.work, args.queries)
        print(folder.name, rows[folder.name], flush=True)
    result = environment(("modernbert-retrieval", "numpy", "tantivy", "ir-measures"))
    result |= {"queries": args.queries, "ndcg_at_10": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
