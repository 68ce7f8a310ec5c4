"""What compressing many token vectors costs: several collections in one index.

    python benchmarks/many_collections.py COLLECTION... --work FOLDER --out many_collections.json

Each COLLECTION is a folder in BEIR's format. All documents are encoded once, into an index whose
token vectors are stored in 8 bits and compared exhaustively. Each of `SETTINGS` then builds an
index of the same vectors through the public API, in order of document ids, as if they came from the
encoder, so that codecs are trained and outgrown as in use. Each collection's queries search all
documents together. What the results have already is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json

from retrieval.encoders import load_encoder
from retrieval.eval import load, means
from retrieval.eval.runs import run_documents
from retrieval.eval.sampling import sampled
from retrieval.index import Index
from retrieval.ragged import offsets_of
from retrieval.types import Document, Embeddings, LateOptions, Retriever

PACKAGES = ("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy", "ir-measures")
MEASURE = "nDCG@10"
K = 10
BATCH = 1_000
RETRIEVERS: tuple[Retriever, ...] = ("late", "hybrid")
UNCOMPRESSED = "uncompressed"
SETTINGS = {
    UNCOMPRESSED: LateOptions(exact_passages=10**9, list_passages=10**9),
    "4 bits": LateOptions(bits=4),
    "default": LateOptions(),
}

Run = Mapping[str, Mapping[str, float]]


class ReplayingEncoder:
    """The embedded model, which replays an index's vectors instead of encoding its texts again.

    Args:
        index: whose passages come in the same order.
        first: the first passage to replay.
    """

    def __init__(self, index: Index, first: int) -> None:
        self._inner = load_encoder()
        self._stored = islice(index.vectors(), first, None)

    def __getattr__(self, name: str) -> Any:
        # Encoding ahead would bypass the replay.
        if name in ("start_documents", "encode_spans"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The index's next vectors. Encodes the first text of each call, to check the order."""
        parts = [embeddings for _, embeddings in islice(self._stored, len(texts))]
        encoded = self._inner.encode_documents(texts[:1])
        if np.abs(encoded.tokens - parts[0].tokens).max() > 0.05:
            raise ValueError(f"passages come in another order: {texts[0]!r:.80}")
        windows = [part.dense if part.windows is None else part.windows for part in parts]
        return Embeddings(
            np.concatenate([part.dense for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            offsets_of([len(part.tokens) for part in parts]),
            np.concatenate(windows),
            offsets_of([len(window) for window in windows]),
        )


def build(setting: str, collections: Mapping[str, Any], work: Path) -> dict[str, Any]:
    """Build the index of a setting, or what is missing of it; its size."""
    folder = work / setting.replace(" ", "-")
    if setting == UNCOMPRESSED:
        with _open_index(folder, SETTINGS[setting]) as index:
            indexed_ids = {document.id for document in index.documents()}
            missing = (d for d in _all_documents(collections) if d.id not in indexed_ids)
            while batch := list(islice(missing, BATCH)):
                index.add(batch)
    else:
        with _open_index(folder, SETTINGS[setting]) as index:
            status = index.status()
        with (
            Index.open(work / UNCOMPRESSED) as source,
            Index.open(folder, encoder=ReplayingEncoder(source, status.passages)) as index,
        ):
            ids = sorted(document.id for document in source.documents())
            remaining_ids = iter(ids[status.documents :])
            while batch := list(islice(remaining_ids, BATCH)):
                index.add([document for document in map(source.get, batch) if document is not None])
    # Reopened, so that the write-ahead log has been merged into the database and counts once.
    with Index.open(folder, encoder=load_encoder()) as index:
        status = index.status()
        vectors = index.measure(["a"], k=1, depth=1).tokens
    return {
        "passages": status.passages,
        "token_vectors": vectors,
        "bytes": status.bytes,
        "bytes_by_part": dict(status.bytes_by_part),
        "segments": status.segments,
        "regimes": dict(status.regimes),
        "late_error": status.late_error,
    }


def _open_index(folder: Path, late: LateOptions) -> Index:
    """The index of a folder, created if there is none."""
    encoder = load_encoder()  # an object, as `ReplayingEncoder` is later
    if folder.exists():
        return Index.open(folder, encoder=encoder)
    return Index.create(folder, encoder=encoder, late=late)


def _all_documents(collections: Mapping[str, Any]) -> Iterator[Document]:
    """The documents of all collections, with ids that start with their collection."""
    for name, collection in collections.items():
        for document in collection.documents:
            yield replace(document, id=f"{name}/{document.id}")


def measure_collection(
    index: Index, name: str, collection: Any, reference_runs: dict[str, Run]
) -> dict[str, Any]:
    """nDCG@10 of each retriever, and overlap@10 with the uncompressed index.

    Args:
        index: of all collections.
        name: of this collection, with which its documents' ids start.
        collection: its queries and judgements.
        reference_runs: the uncompressed index's runs by retriever and collection; missing ones
            are added.
    """
    judgements = {
        query: {f"{name}/{document}": grade for document, grade in ranked.items()}
        for query, ranked in collection.judgements.items()
    }
    row: dict[str, Any] = {"queries": len(collection.queries)}
    for retriever in RETRIEVERS:
        run = run_documents(index, collection.queries, retriever=retriever, k=K)
        row[retriever] = means(judgements, run, (MEASURE,))[MEASURE]
        reference = reference_runs.setdefault(f"{retriever} {name}", run)
        row[f"{retriever}_overlap_at_10"] = float(
            np.mean(
                [
                    len({*list(run[query])[:K]} & {*list(ranked)[:K]}) / max(1, min(K, len(ranked)))
                    for query, ranked in reference.items()
                    if ranked
                ]
            )
        )
    return row


def summarise(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each setting's means over the collections, and points lost."""
    summary: dict[str, Any] = {}
    uncompressed = rows[UNCOMPRESSED]["collections"]
    for setting, row in rows.items():
        by_collection = row["collections"]
        summary[setting] = {"bytes_a_token_vector": row["bytes"] / row["token_vectors"]}
        for retriever in RETRIEVERS:
            lost = {
                name: 100 * (uncompressed[name][retriever] - by_collection[name][retriever])
                for name in by_collection
            }
            summary[setting] |= {
                retriever: float(np.mean([values[retriever] for values in by_collection.values()])),
                f"{retriever}_lost": float(np.mean(list(lost.values()))),
                f"{retriever}_lost_at_most": max(lost.values()),
                f"{retriever}_overlap_at_10": float(
                    np.mean(
                        [values[f"{retriever}_overlap_at_10"] for values in by_collection.values()]
                    )
                ),
            }
    return summary


def main() -> None:
    """Measure what the results do not have yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", type=Path, help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=100, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    collections = {
        path.name: sampled(load(str(path), None)[0], args.queries) for path in args.collections
    }
    rows: dict[str, Any] = {}
    if args.out.exists():
        rows = json.loads(args.out.read_text(encoding="utf-8"))["rows"]
    runs_file = args.work / "runs.json"
    reference_runs: dict[str, Run] = json.loads(runs_file.read_text()) if runs_file.exists() else {}
    for setting in SETTINGS:
        row = rows.setdefault(setting, {})
        if "bytes" not in row:
            row |= build(setting, collections, args.work)
        by_collection = row.setdefault("collections", {})
        folder = args.work / setting.replace(" ", "-")
        with Index.open(folder, encoder=load_encoder()) as index:
            for name, collection in collections.items():
                if name not in by_collection:
                    by_collection[name] = measure_collection(
                        index, name, collection, reference_runs
                    )
                    print(setting, name, by_collection[name], flush=True)
                    runs_file.write_text(json.dumps(reference_runs), encoding="utf-8")
                    result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows}
                    write_json(args.out, result)
    result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows, "means": summarise(rows)}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
