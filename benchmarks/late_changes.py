"""What adding to and deleting from a whole index costs: store, lexical, dense and late, with fsync.

    python benchmarks/late_changes.py VECTORS --work FOLDER --passages 100000

Token vectors are those of VECTORS (see `late_vectors.py`). The encoder looks them up, so that the
model's time is not part of the figures. Texts are random words with a Zipf distribution.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from late_engine import Vectors, peak_rss_mib
from numpy.typing import NDArray

from retrieval.index import Index
from retrieval.ragged import offsets_of
from retrieval.types import Document, Embeddings

DENSE_DIM = 384
REPEATS = 15


class LookupEncoder:
    """An encoder of texts that start with the number of a passage whose vectors are known."""

    name, fingerprint, max_tokens, dense_dim = "lookup", "0" * 64, 512, DENSE_DIM

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self.token_dim = vectors.dim

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """One token, so that every text is one passage."""
        return np.array([[0, len(text)]])

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The known vectors, and their mean as the dense vector."""
        numbers = [int(text.split(maxsplit=1)[0]) for text in texts]
        parts = [self._vectors.part(n, n + 1)[0] for n in numbers]
        dense = np.stack([np.resize(part[1:].mean(axis=0), DENSE_DIM) for part in parts])
        dense /= np.linalg.norm(dense, axis=1, keepdims=True)
        offsets = offsets_of([len(part) for part in parts])
        return Embeddings(dense.astype(np.float32), np.concatenate(parts), offsets)

    encode_queries = encode_documents


def main() -> None:
    """Index, add and delete; print the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    args = parser.parse_args()
    vectors = Vectors(args.vectors)
    known = len(vectors.offsets) - 1
    words = np.array([f"w{n}" for n in range(50_000)])
    rng = np.random.default_rng(0)

    def documents(first: int, last: int) -> Iterator[Document]:
        for number in range(first, last):
            sample = words[np.minimum(rng.zipf(1.3, 120), len(words)) - 1]
            yield Document(f"d{number}", f"{number % known} {' '.join(sample)}")

    shutil.rmtree(args.work, ignore_errors=True)
    with Index.create(args.work, encoder=LookupEncoder(vectors)) as index:
        index_s = _timed(lambda: index.add(documents(0, args.passages)))
        count = args.passages
        add_s, delete_s = [], []
        for _ in range(REPEATS):
            batch = list(documents(count, count + 100))
            count += 100
            add_s.append(_timed(lambda batch=batch: index.add(batch)))
        for number in range(REPEATS):
            delete_s.append(_timed(lambda name=f"d{number * 7}": index.delete([name])))
        status = index.status()
    print(
        json.dumps(
            {
                "passages": args.passages,
                "index_s": index_s,
                "add_100_s": float(np.median(add_s)),
                "add_100_s_most": max(add_s),
                "delete_one_ms": float(np.median(delete_s)) * 1e3,
                "delete_one_ms_most": max(delete_s) * 1e3,
                "regimes": dict(status.regimes),
                "segments": status.segments,
                "peak_rss_mb": peak_rss_mib(),
            }
        )
    )


def _timed(call: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
