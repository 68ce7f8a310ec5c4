"""Dense vectors in 8 bits, in fewer bits, and in inverted lists: loss of quality, and cost.

    python benchmarks/dense_index.py COLLECTION... --work FOLDER --passages 100000 --out FILE.json

COLLECTION is a folder in BEIR's format. Each is indexed in FOLDER, if not there yet, with the
encoder's vectors stored beside the index. First comes nDCG@10 of dense and hybrid search with these
vectors in 32-bit floats, as the index stores them, and in other encodings. Then, over the vectors
of all collections and perturbed copies of them, recall of inverted lists against exhaustive search,
and FAISS's own lists of 8-bit vectors. Times are CPU seconds of the process on one core.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json
from numpy.typing import NDArray

from retrieval.encoders import load_encoder
from retrieval.eval import load_beir, means
from retrieval.index import Index
from retrieval.indexes import DenseSegment, merge_dense, top_k, write_dense
from retrieval.indexes.dense import segment as segments
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, Retriever

MAX_QUERIES = 200
IN_HYBRID = ("float32", "8 bits", "4 bits, turned")
NOISE = 0.6  # length of what is added to a unit vector's copy
PROBED = (1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17)

Vectors = NDArray[np.float32]


class RecordingEncoder:
    """The embedded model, which keeps the dense vectors that it makes of passages.

    Attributes:
        vectors: f32 [windows, d] of each call.
        counts: i64 [passages], windows of each passage, of each call.
    """

    def __init__(self) -> None:
        self._encoder = load_encoder()
        self.vectors: list[Vectors] = []
        self.counts: list[NDArray[np.int64]] = []
        for name in ("name", "fingerprint", "max_tokens", "dense_dim", "token_dim"):
            setattr(self, name, getattr(self._encoder, name))
        self.token_spans = self._encoder.token_spans
        self.encode_queries = self._encoder.encode_queries

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The embedded model's vectors."""
        embeddings = self._encoder.encode_documents(texts)
        windows, offsets = embeddings.windows, embeddings.window_offsets
        assert windows is not None
        assert offsets is not None
        self.vectors.append(windows)
        self.counts.append(np.diff(offsets))
        return embeddings


class FloatSegment:
    """A dense segment of 32-bit floats with the interface of `DenseSegment`."""

    lists = None

    def __init__(self, ids: NDArray[np.int64], vectors: Vectors, offsets: NDArray[np.int64]):
        self.ids, self._vectors, self._offsets = ids, vectors, offsets

    def __len__(self) -> int:
        return len(self.ids)

    def queries(self, vectors: Vectors) -> Vectors:
        """Queries in the form that `search` takes."""
        return np.atleast_2d(vectors)

    def search(
        self, queries: Vectors, k: int, allowed: Any = None, *, ties: Any = None, **_: Any
    ) -> list[tuple[NDArray[np.int64], Vectors]]:
        """The k best allowed passages for each query."""
        ids = self.ids if allowed is None else self.ids[allowed[self.ids]]
        return [top_k(ids, self._all(query)[ids], k, ties) for query in queries]

    def score(self, query: Vectors, ids: NDArray[np.int64]) -> Vectors:
        """The scores of passages, whose ids are their positions."""
        return self._all(query)[ids]

    def _all(self, query: Vectors) -> Vectors:
        best: Vectors = np.maximum.reduceat(self._vectors @ query, self._offsets[:-1])
        return best


def quantise_4_bits(vectors: Vectors) -> Vectors:
    """Rounded to 15 even levels per component, from -7 to 7 times the vector's own scale."""
    scales = np.abs(vectors).max(axis=1, keepdims=True) / np.float32(7)
    rounded: Vectors = np.rint(vectors / scales) * scales
    return rounded


def quantise_4_bits_rotated(vectors: Vectors) -> Vectors:
    """The same after a random rotation, which evens out the components' magnitudes."""
    gaussian = np.random.default_rng(0).standard_normal((vectors.shape[1],) * 2)
    rotation = np.linalg.qr(gaussian)[0].astype(np.float32)
    return quantise_4_bits(vectors @ rotation) @ rotation.T


def quantise_1_bit_rotated(vectors: Vectors) -> Vectors:
    """Signs after a random rotation, scaled per vector as in RaBitQ."""
    gaussian = np.random.default_rng(0).standard_normal((vectors.shape[1],) * 2)
    rotation = np.linalg.qr(gaussian)[0].astype(np.float32)
    rotated = vectors @ rotation
    signs = np.where(rotated > 0, 1, -1).astype(np.float32)
    scales = (rotated * rotated).sum(axis=1) / (signs * rotated).sum(axis=1)
    return (signs * scales[:, None]) @ rotation.T


def build(collection: Path, folder: Path) -> None:
    """Index a collection, and store the encoder's vectors beside the index."""
    recorder, data = RecordingEncoder(), load_beir(collection)
    with Index.create(folder / "index", encoder=recorder) as index:  # type: ignore[arg-type]
        index.add(data.documents)
    np.save(folder / "offsets.npy", offsets_of(np.concatenate(recorder.counts)))
    np.save(folder / "windows.npy", np.concatenate(recorder.vectors))


def quality(collection: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """nDCG@10 of a collection by encoding of its vectors."""
    data = load_beir(collection)
    queries = list(data.queries)[:MAX_QUERIES]
    texts, qrels = [data.queries[id] for id in queries], {id: data.qrels[id] for id in queries}
    vectors, offsets = np.load(folder / "windows.npy"), np.load(folder / "offsets.npy")
    sums = np.add.reduceat(vectors, offsets[:-1])
    mean = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    ids = np.arange(len(offsets) - 1)
    dim = vectors.shape[1]
    encodings: dict[str, tuple[float, Any]] = {
        "float32": (4 * dim, FloatSegment(ids, vectors, offsets)),
        "8 bits": (dim + 4, None),
        "4 bits": (dim / 2 + 4, FloatSegment(ids, quantise_4_bits(vectors), offsets)),
        "4 bits, turned": (
            dim / 2 + 4,
            FloatSegment(ids, quantise_4_bits_rotated(vectors), offsets),
        ),
        "1 bit, turned": (dim / 8 + 4, FloatSegment(ids, quantise_1_bit_rotated(vectors), offsets)),
        "float32, one a passage": (
            4 * dim * len(mean) / len(vectors),
            FloatSegment(ids, mean, np.arange(len(mean) + 1)),
        ),
    }
    with Index.open(folder / "index", encoder=RecordingEncoder()) as index:  # type: ignore[arg-type]
        index.compact()
        snapshot = index._snapshot
        assert snapshot is not None
        stored = snapshot.vectors
        assert len(stored) == 1
        assert np.array_equal(stored[0].ids, ids)
        query_embeddings = load_encoder().encode_queries(texts)
        exact_hits: dict[str, list[list[str]]] = {}
        for name, (bytes_each, segment) in encodings.items():
            snapshot.vectors = stored if segment is None else (replace(stored[0], dense=segment),)
            retriever: Retriever
            for retriever in ("dense", "hybrid"):
                if retriever == "hybrid" and name not in IN_HYBRID:
                    continue
                answers = index.search_batch(
                    texts,
                    retriever=retriever,
                    group="document",
                    highlights=False,
                    embeddings=query_embeddings,
                )
                hits = [[hit.document_id for hit in answer] for answer in answers]
                run = {
                    id: {hit: -float(rank) for rank, hit in enumerate(ranked)}
                    for id, ranked in zip(queries, hits, strict=True)
                }
                float_hits = exact_hits.setdefault(retriever, hits)
                overlaps = [
                    len({*a} & {*b}) / len(a) for a, b in zip(float_hits, hits, strict=True)
                ]
                yield {
                    "collection": data.name,
                    "passages": len(ids),
                    "vectors": len(vectors),
                    "queries": len(queries),
                    "kept": name,
                    "bytes_a_window": bytes_each,
                    "retriever": retriever,
                    "overlap_at_10": float(np.mean(overlaps)),
                } | means(qrels, run, ("nDCG@10",))


def approximation(
    collections: Sequence[tuple[Path, Path]], passages: int, work: Path
) -> Iterator[dict[str, Any]]:
    """Recall and CPU time of inverted lists over so many passages of all collections together."""
    encoder = load_encoder()
    query_parts, vector_parts, counts = [], [], []
    for collection, folder in collections:
        texts = list(load_beir(collection).queries.values())[:40]
        dense = encoder.encode_queries(texts).dense
        assert dense is not None
        query_parts.append(dense)
        vector_parts.append(np.load(folder / "windows.npy"))
        counts.append(np.diff(np.load(folder / "offsets.npy")))
    queries, lengths = np.concatenate(query_parts), np.concatenate(counts)
    real = np.concatenate(vector_parts)
    rng = np.random.default_rng(0)
    shutil.rmtree(work, ignore_errors=True)
    copies = []
    for copy in range(-(-passages // len(lengths))):
        copy_lengths = lengths[: passages - copy * len(lengths)]
        vectors = real[: int(copy_lengths.sum())]
        if copy:
            noise = rng.standard_normal(vectors.shape, np.float32)
            vectors = vectors + noise * np.float32(NOISE / vectors.shape[1] ** 0.5)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        first = copy * len(lengths)
        write_dense(
            work / f"{copy}",
            first + np.arange(len(copy_lengths)),
            vectors,
            offsets_of(copy_lengths),
        )
        copies.append(DenseSegment.open(work / f"{copy}"))
    merge_dense(work / "flat", copies, listed=1 << 62)
    flat = DenseSegment.open(work / "flat")
    started = time.process_time()
    merge_dense(work / "listed", [flat], listed=1)
    list_build_s = time.process_time() - started
    listed = DenseSegment.open(work / "listed")
    assert listed.lists is not None
    vector_count = int(flat.offsets[-1])
    facts = {"passages": len(flat), "real_passages": len(lengths), "vectors": vector_count}
    facts |= {"queries": len(queries), "lists": len(listed.lists.starts) - 1}
    exact = {k: flat.search(queries, k) for k in (10, 100)}

    def row(name: str, search: Callable[[Vectors, int], list[Any]], **more: Any) -> dict[str, Any]:
        measures: dict[str, Any] = {}
        for k, best in exact.items():
            started = time.process_time()
            answers = [search(query[None], k)[0] for query in queries]
            measures[f"ms_{k}"] = 1e3 * (time.process_time() - started) / len(queries)
            measures[f"recall_at_{k}"] = float(
                np.mean([np.isin(a[0], b[0]).mean() for a, b in zip(best, answers, strict=True)])
            )
        return facts | {"index": name} | more | measures

    def size(folder: Path) -> float:
        return sum(file.stat().st_size for file in folder.iterdir()) / vector_count

    yield row("all compared", flat.search, bytes_a_vector=size(work / "flat"))
    default = segments.PROBED
    for probed in PROBED:
        segments.PROBED = probed
        if probed < vector_count:
            yield row(
                "lists",
                listed.search,
                probed=probed,
                bytes_a_vector=size(work / "listed"),
                build_s=list_build_s,
            )
    segments.PROBED = default
    yield from faiss_rows(flat, listed, row)


def faiss_rows(
    flat: DenseSegment, listed: DenseSegment, row: Callable[..., dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """FAISS's inverted lists of 8-bit vectors, in memory, with as many lists."""
    import faiss

    faiss.omp_set_num_threads(1)
    assert listed.lists is not None
    lists = len(listed.lists.starts) - 1
    owners = np.repeat(flat.ids, np.diff(flat.offsets))
    vectors = flat.vectors(flat.ids)
    for factory in (f"IVF{lists},SQ8", f"IVF{lists},RaBitQ,Refine(SQ8)"):
        index = faiss.index_factory(flat.dim, factory, faiss.METRIC_INNER_PRODUCT)
        started = time.process_time()
        index.train(vectors[:: max(1, len(vectors) // (64 * lists))])
        index.add(vectors)
        build_s = time.process_time() - started
        bytes_per_vector = faiss.serialize_index(index).nbytes / len(vectors)
        for probes in (16, 64, 256):
            faiss.extract_index_ivf(
                index if not hasattr(index, "base_index") else index.base_index
            ).nprobe = probes
            if hasattr(index, "k_factor"):
                index.k_factor = 4

            def search(query: Vectors, k: int, index: Any = index) -> list[Any]:
                _, rows = index.search(query, 4 * k)
                found = rows[0][rows[0] >= 0]  # -1 fills up where the probed lists have fewer
                return [(np.array(list(dict.fromkeys(owners[found].tolist()))[:k]), None)]

            yield row(
                f"FAISS {factory}",
                search,
                probed=probes * len(vectors) // lists,
                bytes_a_vector=bytes_per_vector,
                build_s=build_s,
            )


def main() -> None:
    """Measure quality and approximation, and write the result after each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pairs = [(one, args.work / one.name) for one in args.collections]
    quality_rows: list[dict[str, Any]] = []
    approximation_rows: list[dict[str, Any]] = []

    def save() -> None:
        result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "ir-measures"))
        result |= {"quality": quality_rows, "approximation": approximation_rows}
        write_json(args.out, result)

    for collection, folder in pairs:
        if not (folder / "windows.npy").exists():
            build(collection, folder)
        for row in quality(collection, folder):
            print(json.dumps(row), flush=True)
            quality_rows.append(row)
        save()
    for row in approximation(pairs, args.passages, args.work / "together"):
        print(json.dumps(row), flush=True)
        approximation_rows.append(row)
        save()


if __name__ == "__main__":
    run_main(main)
