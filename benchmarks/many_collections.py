"""What compressing token vectors costs where there are many: several collections in one index.

    python benchmarks/many_collections.py COLLECTION... --work FOLDER --out many_collections.json

Each COLLECTION is a folder in BEIR's format. All documents are encoded once, into an index whose
token vectors are kept in 8 bits and all compared. Each of `SETTINGS` then makes an index of the
same vectors through the public API, document after document by id, as if they came from the
encoder, so that codecs are trained and outgrown as they are in use. Each collection's queries are
asked of all documents together. What is done is in the results, and goes on from there.
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


class Replaying:
    """The embedded model, which gives an index's vectors in place of encoding its texts again.

    Args:
        index: whose passages come in the same order.
        first: the passage that comes first.
    """

    def __init__(self, index: Index, first: int) -> None:
        self._inner = load_encoder()
        self._stored = islice(index.vectors(), first, None)

    def __getattr__(self, name: str) -> Any:
        # Not what encodes ahead, which would pass this by.
        if name in ("start_documents", "encode_spans"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """The next ones of the index; the first text of a call is encoded, to be sure."""
        parts = [made for _, made in islice(self._stored, len(texts))]
        own = self._inner.encode_documents(texts[:1])
        if np.abs(own.tokens - parts[0].tokens).max() > 0.05:
            raise ValueError(f"passages come in another order: {texts[0]!r:.80}")
        windows = [part.dense if part.windows is None else part.windows for part in parts]
        return Embeddings(
            np.concatenate([part.dense for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            offsets_of([len(part.tokens) for part in parts]),
            np.concatenate(windows),
            offsets_of([len(one) for one in windows]),
        )


def build(setting: str, collections: Mapping[str, Any], work: Path) -> dict[str, Any]:
    """The index of a setting, or what is missing of it, and what it takes."""
    folder = work / setting.replace(" ", "-")
    if setting == UNCOMPRESSED:
        with _opened(folder, SETTINGS[setting]) as index:
            known = {document.id for document in index.documents()}
            missing = (d for d in _documents(collections) if d.id not in known)
            while batch := list(islice(missing, BATCH)):
                index.add(batch)
    else:
        with _opened(folder, SETTINGS[setting]) as index:
            status = index.status()
        with (
            Index.open(work / UNCOMPRESSED) as source,
            Index.open(folder, encoder=Replaying(source, status.passages)) as index,
        ):
            ids = sorted(document.id for document in source.documents())
            rest = iter(ids[status.documents :])
            while batch := list(islice(rest, BATCH)):
                index.add([found for found in map(source.get, batch) if found is not None])
    # Opened anew: what is written ahead of the database has gone into it by then.
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


def _opened(folder: Path, late: LateOptions) -> Index:
    encoder = load_encoder()  # as an object, which is what `Replaying` is to the index
    if folder.exists():
        return Index.open(folder, encoder=encoder)
    return Index.create(folder, encoder=encoder, late=late)


def _documents(collections: Mapping[str, Any]) -> Iterator[Document]:
    for name, collection in collections.items():
        for document in collection.documents:
            yield replace(document, id=f"{name}/{document.id}")


def ask(index: Index, name: str, collection: Any, known: dict[str, Run]) -> dict[str, Any]:
    """nDCG@10 of each retriever, and how many of the ten best are those of all vectors.

    Args:
        index: of all collections.
        name: of this one, which stands in front of its documents' ids.
        collection: its queries and judgements.
        known: the uncompressed index's runs by retriever and collection; they are put in here
            where there are none.
    """
    judgements = {
        query: {f"{name}/{document}": grade for document, grade in own.items()}
        for query, own in collection.judgements.items()
    }
    row: dict[str, Any] = {"queries": len(collection.queries)}
    for retriever in RETRIEVERS:
        run = run_documents(index, collection.queries, retriever=retriever, k=K)
        row[retriever] = means(judgements, run, (MEASURE,))[MEASURE]
        best = known.setdefault(f"{retriever} {name}", run)
        row[f"{retriever}_overlap_at_10"] = float(
            np.mean(
                [
                    len({*list(run[query])[:K]} & {*list(own)[:K]}) / max(1, min(K, len(own)))
                    for query, own in best.items()
                    if own
                ]
            )
        )
    return row


def summary(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each setting's means over the collections, and points lost."""
    found: dict[str, Any] = {}
    full = rows[UNCOMPRESSED]["collections"]
    for setting, row in rows.items():
        own = row["collections"]
        found[setting] = {"bytes_a_token_vector": row["bytes"] / row["token_vectors"]}
        for retriever in RETRIEVERS:
            lost = {name: 100 * (full[name][retriever] - own[name][retriever]) for name in own}
            found[setting] |= {
                retriever: float(np.mean([one[retriever] for one in own.values()])),
                f"{retriever}_lost": float(np.mean(list(lost.values()))),
                f"{retriever}_lost_at_most": max(lost.values()),
                f"{retriever}_overlap_at_10": float(
                    np.mean([one[f"{retriever}_overlap_at_10"] for one in own.values()])
                ),
            }
    return found


def main() -> None:
    """Measure what is not measured yet."""
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
    runs = args.work / "runs.json"
    known: dict[str, Run] = json.loads(runs.read_text()) if runs.exists() else {}
    for setting in SETTINGS:
        row = rows.setdefault(setting, {})
        if "bytes" not in row:
            row |= build(setting, collections, args.work)
        asked = row.setdefault("collections", {})
        folder = args.work / setting.replace(" ", "-")
        with Index.open(folder, encoder=load_encoder()) as index:
            for name, collection in collections.items():
                if name not in asked:
                    asked[name] = ask(index, name, collection, known)
                    print(setting, name, asked[name], flush=True)
                    runs.write_text(json.dumps(known), encoding="utf-8")
                    result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows}
                    write_json(args.out, result)
    result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows, "means": summary(rows)}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
