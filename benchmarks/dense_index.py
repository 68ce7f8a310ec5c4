"""What dense vectors lose in 8 bits, in fewer, and in inverted lists; and what each costs.

    python benchmarks/dense_index.py COLLECTION... --work FOLDER --passages 100000 --out FILE.json

COLLECTION is a folder in BEIR's format. Each is indexed in FOLDER (once; what is there is taken),
with the encoder's vectors beside it. First nDCG@10 of dense and hybrid search by these vectors in
32-bit floats, as the index keeps them, and as it might; then, over the vectors of all collections
together with perturbed copies of them, recall of inverted lists against the exhaustive search, and
FAISS's own lists of 8-bit vectors. Times are the process's own seconds on one core.
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

MOST_QUERIES = 200
IN_HYBRID = ("float32", "8 bits", "4 bits, turned")
NOISE = 0.6  # length of what is added to a unit vector's copy
PROBED = (1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17)

Vectors = NDArray[np.float32]


class Recorder:
    """The encoder, which keeps the dense vectors that it made of passages."""

    def __init__(self) -> None:
        self._encoder = load_encoder()
        self.vectors: list[Vectors] = []
        self.counts: list[NDArray[np.int64]] = []
        for name in ("name", "fingerprint", "max_tokens", "dense_dim", "token_dim"):
            setattr(self, name, getattr(self._encoder, name))
        self.token_spans = self._encoder.token_spans
        self.encode_queries = self._encoder.encode_queries

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """As the encoder."""
        made = self._encoder.encode_documents(texts)
        windows, offsets = made.windows, made.window_offsets
        assert windows is not None
        assert offsets is not None
        self.vectors.append(windows)
        self.counts.append(np.diff(offsets))
        return made


class Floats:
    """A dense segment of 32-bit floats; answers as `DenseSegment` does."""

    lists = None

    def __init__(self, ids: NDArray[np.int64], vectors: Vectors, offsets: NDArray[np.int64]):
        self.ids, self._vectors, self._offsets = ids, vectors, offsets

    def search(
        self, queries: Vectors, k: int, allowed: Any = None, *, ties: Any = None, **_: Any
    ) -> list[tuple[NDArray[np.int64], Vectors]]:
        """The k best allowed passages for each query."""
        ids = self.ids if allowed is None else self.ids[allowed[self.ids]]
        return [top_k(ids, self._all(query)[ids], k, ties) for query in queries]

    def score(self, query: Vectors, ids: NDArray[np.int64]) -> Vectors:
        """The scores of these passages, which are their places."""
        return self._all(query)[ids]

    def _all(self, query: Vectors) -> Vectors:
        best: Vectors = np.maximum.reduceat(self._vectors @ query, self._offsets[:-1])
        return best


def four_bits(vectors: Vectors) -> Vectors:
    """As 15 even levels a component, from -7 to 7 times a scale of the vector's own."""
    scales = np.abs(vectors).max(axis=1, keepdims=True) / np.float32(7)
    rounded: Vectors = np.rint(vectors / scales) * scales
    return rounded


def turned_four_bits(vectors: Vectors) -> Vectors:
    """The same after a random rotation, by which all components are of about one size."""
    gaussian = np.random.default_rng(0).standard_normal((vectors.shape[1],) * 2)
    rotation = np.linalg.qr(gaussian)[0].astype(np.float32)
    return four_bits(vectors @ rotation) @ rotation.T


def one_bit(vectors: Vectors) -> Vectors:
    """The signs after a random rotation, with a length of the vector's own (RaBitQ's)."""
    gaussian = np.random.default_rng(0).standard_normal((vectors.shape[1],) * 2)
    rotation = np.linalg.qr(gaussian)[0].astype(np.float32)
    turned = vectors @ rotation
    signs = np.where(turned > 0, 1, -1).astype(np.float32)
    lengths = (turned * turned).sum(axis=1) / (signs * turned).sum(axis=1)
    return (signs * lengths[:, None]) @ rotation.T


def build(collection: Path, folder: Path) -> None:
    """Index a collection, and keep the encoder's vectors beside the index."""
    recorder, data = Recorder(), load_beir(collection)
    with Index.create(folder / "index", encoder=recorder) as index:  # type: ignore[arg-type]
        index.add(data.documents)
    np.save(folder / "offsets.npy", offsets_of(np.concatenate(recorder.counts)))
    np.save(folder / "windows.npy", np.concatenate(recorder.vectors))


def quality(collection: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """nDCG@10 by each way to keep the vectors of a collection."""
    data = load_beir(collection)
    queries = list(data.queries)[:MOST_QUERIES]
    texts, qrels = [data.queries[id] for id in queries], {id: data.qrels[id] for id in queries}
    vectors, offsets = np.load(folder / "windows.npy"), np.load(folder / "offsets.npy")
    sums = np.add.reduceat(vectors, offsets[:-1])
    mean = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    places = np.arange(len(offsets) - 1)
    size = vectors.shape[1]
    ways: dict[str, tuple[float, Any]] = {
        "float32": (4 * size, Floats(places, vectors, offsets)),
        "8 bits": (size + 4, None),
        "4 bits": (size / 2 + 4, Floats(places, four_bits(vectors), offsets)),
        "4 bits, turned": (size / 2 + 4, Floats(places, turned_four_bits(vectors), offsets)),
        "1 bit, turned": (size / 8 + 4, Floats(places, one_bit(vectors), offsets)),
        "float32, one a passage": (
            4 * size * len(mean) / len(vectors),
            Floats(places, mean, np.arange(len(mean) + 1)),
        ),
    }
    with Index.open(folder / "index", encoder=Recorder()) as index:  # type: ignore[arg-type]
        index.compact()
        snapshot = index._snapshot
        assert snapshot is not None
        kept = snapshot.vectors
        assert len(kept) == 1
        assert np.array_equal(kept[0].ids, places)
        asked = load_encoder().encode_queries(texts)
        first: dict[str, list[list[str]]] = {}
        for name, (bytes_each, way) in ways.items():
            snapshot.vectors = kept if way is None else (replace(kept[0], dense=way),)
            retriever: Retriever
            for retriever in ("dense", "hybrid"):
                if retriever == "hybrid" and name not in IN_HYBRID:
                    continue
                answers = index.search_batch(
                    texts, retriever=retriever, group="document", highlights=False, embeddings=asked
                )
                found = [[hit.document_id for hit in answer] for answer in answers]
                run = {
                    id: {hit: -float(rank) for rank, hit in enumerate(best)}
                    for id, best in zip(queries, found, strict=True)
                }
                exact = first.setdefault(retriever, found)
                same = [len({*a} & {*b}) / len(a) for a, b in zip(exact, found, strict=True)]
                yield {
                    "collection": data.name,
                    "passages": len(places),
                    "vectors": len(vectors),
                    "queries": len(queries),
                    "kept": name,
                    "bytes_a_window": bytes_each,
                    "retriever": retriever,
                    "overlap_at_10": float(np.mean(same)),
                } | means(qrels, run, ("nDCG@10",))


def approximation(
    collections: Sequence[tuple[Path, Path]], passages: int, work: Path
) -> Iterator[dict[str, Any]]:
    """Recall and time of inverted lists over so many passages of all collections together."""
    encoder = load_encoder()
    asked, parts, counts = [], [], []
    for collection, folder in collections:
        texts = list(load_beir(collection).queries.values())[:40]
        dense = encoder.encode_queries(texts).dense
        assert dense is not None
        asked.append(dense)
        parts.append(np.load(folder / "windows.npy"))
        counts.append(np.diff(np.load(folder / "offsets.npy")))
    queries, lengths = np.concatenate(asked), np.concatenate(counts)
    real = np.concatenate(parts)
    rng = np.random.default_rng(0)
    shutil.rmtree(work, ignore_errors=True)
    written = []
    for copy in range(-(-passages // len(lengths))):
        own = lengths[: passages - copy * len(lengths)]
        vectors = real[: int(own.sum())]
        if copy:
            noise = rng.standard_normal(vectors.shape, np.float32)
            vectors = vectors + noise * np.float32(NOISE / vectors.shape[1] ** 0.5)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        first = copy * len(lengths)
        write_dense(work / f"{copy}", first + np.arange(len(own)), vectors, offsets_of(own))
        written.append(DenseSegment.open(work / f"{copy}"))
    merge_dense(work / "flat", written, listed=1 << 62)
    flat = DenseSegment.open(work / "flat")
    began = time.process_time()
    merge_dense(work / "listed", [flat], listed=1)
    listing = time.process_time() - began
    listed = DenseSegment.open(work / "listed")
    assert listed.lists is not None
    count = int(flat.offsets[-1])
    facts = {"passages": len(flat), "real_passages": len(lengths), "vectors": count}
    facts |= {"queries": len(queries), "lists": len(listed.lists.starts) - 1}
    exact = {k: flat.search(queries, k) for k in (10, 100)}

    def row(name: str, search: Callable[[Vectors, int], list[Any]], **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for k, best in exact.items():
            began = time.process_time()
            answers = [search(query[None], k)[0] for query in queries]
            found[f"ms_{k}"] = 1e3 * (time.process_time() - began) / len(queries)
            found[f"recall_at_{k}"] = float(
                np.mean([np.isin(a[0], b[0]).mean() for a, b in zip(best, answers, strict=True)])
            )
        return facts | {"index": name} | more | found

    def size(folder: Path) -> float:
        return sum(file.stat().st_size for file in folder.iterdir()) / count

    yield row("all compared", flat.search, bytes_a_vector=size(work / "flat"))
    default = segments.PROBED
    for probed in PROBED:
        segments.PROBED = probed
        if probed < count:
            yield row(
                "lists",
                listed.search,
                probed=probed,
                bytes_a_vector=size(work / "listed"),
                build_s=listing,
            )
    segments.PROBED = default
    yield from faiss_rows(flat, listed, row)


def faiss_rows(
    flat: DenseSegment, listed: DenseSegment, row: Callable[..., dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """FAISS's own lists of 8-bit vectors, in memory, over as many lists."""
    import faiss

    faiss.omp_set_num_threads(1)
    assert listed.lists is not None
    lists = len(listed.lists.starts) - 1
    owners = np.repeat(flat.ids, np.diff(flat.offsets))
    vectors = flat.vectors(flat.ids)
    for described in (f"IVF{lists},SQ8", f"IVF{lists},RaBitQ,Refine(SQ8)"):
        index = faiss.index_factory(flat.dim, described, faiss.METRIC_INNER_PRODUCT)
        began = time.process_time()
        index.train(vectors[:: max(1, len(vectors) // (64 * lists))])
        index.add(vectors)
        build_s = time.process_time() - began
        stored = faiss.serialize_index(index).nbytes / len(vectors)
        for probes in (16, 64, 256):
            faiss.extract_index_ivf(
                index if not hasattr(index, "base_index") else index.base_index
            ).nprobe = probes
            if hasattr(index, "k_factor"):
                index.k_factor = 4

            def search(query: Vectors, k: int, index: Any = index) -> list[Any]:
                _, rows = index.search(query, 4 * k)
                return [(np.array(list(dict.fromkeys(owners[rows[0]].tolist()))[:k]), None)]

            yield row(
                f"FAISS {described}",
                search,
                probed=probes * len(vectors) // lists,
                bytes_a_vector=stored,
                build_s=build_s,
            )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pairs = [(one, args.work / one.name) for one in args.collections]
    rows: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []

    def keep() -> None:
        result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "ir-measures"))
        result |= {"quality": rows, "approximation": sizes}
        write_json(args.out, result)

    for collection, folder in pairs:
        if not (folder / "windows.npy").exists():
            build(collection, folder)
        for row in quality(collection, folder):
            print(json.dumps(row), flush=True)
            rows.append(row)
        keep()
    for row in approximation(pairs, args.passages, args.work / "together"):
        print(json.dumps(row), flush=True)
        sizes.append(row)
        keep()


if __name__ == "__main__":
    run_main(main)
