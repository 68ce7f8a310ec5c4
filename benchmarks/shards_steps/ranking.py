"""How closely the ranking of a collection in shards follows that of one index."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from index_size import CachingEncoder

from retrieval.eval import Collection, load, means
from retrieval.eval.datasets.collection import Documents
from retrieval.index import Index
from retrieval.index.searching import Searching
from retrieval.index.writing.codecs import codec_in_use
from retrieval.indexes import LateCodec
from retrieval.sharded import ShardedIndex
from retrieval.types import RETRIEVERS, Document, Hit, LateOptions

MEASURE = "nDCG@10"
Rankings = dict[str, dict[str, list[Hit]]]
"""Hits by retriever and query id."""

K = 10
DEPTH = 100
SETTINGS = {
    "uncompressed": LateOptions(exact_passages=10**9, list_passages=10**9),
    "default": LateOptions(),
    "compressed": LateOptions(exact_passages=0),
}
KINDS = 5
"""Number of document kinds. A filtered search admits two of them."""

FILTER = "kind in [1, 3]"
PHASES = ("filtered", "changed", "compacted")
"""What is compared beside plain searches; see `run_phases`."""


def ranking(
    folders: Sequence[str], counts: Sequence[int], settings: Sequence[str], most: int | None
) -> dict[str, Any]:
    """How rankings compare, by collection, setting, number of shards and retriever.

    Args:
        folders: the collections.
        counts: numbers of shards.
        settings: names of `SETTINGS`.
        most: queries of a collection, at most, evenly spread over their sorted ids; None for all.
    """
    encoder = CachingEncoder()
    result: dict[str, Any] = {}
    for folder in folders:
        (collection,) = load(folder, None)
        collection = _with_kinds(collection, most)
        result[collection.name] = {
            setting: compare_counts(collection, encoder, SETTINGS[setting], counts)
            for setting in settings
        }
        encoder.forget()
    return result


def _with_kinds(collection: Collection, most: int | None) -> Collection:
    """The collection with metadata to filter by, and at most so many queries."""
    judged = sorted(id for id in collection.queries if id in collection.judgements)
    stride = 1 if most is None else max(1, -(-len(judged) // most))
    documents = [
        replace(
            document, metadata={**document.metadata, "kind": crc32(document.id.encode()) % KINDS}
        )
        for document in collection.documents
    ]
    return replace(
        collection,
        documents=Documents(lambda: iter(documents), len(documents), frozenset()),
        queries={id: collection.queries[id] for id in judged[::stride]},
        judgements={id: collection.judgements[id] for id in judged[::stride]},
    )


def compare_counts(
    collection: Collection, encoder: CachingEncoder, late: LateOptions, counts: Sequence[int]
) -> dict[str, Any]:
    """How rankings compare, by number of shards and retriever."""
    work = Path(tempfile.mkdtemp())
    try:
        with Index.create(work / "one", encoder=encoder, late=late) as single:
            expected = run_phases(single, collection)
            passages = single.status().passages
        result: dict[str, Any] = {"passages": passages, "queries": len(collection.queries)}
        for count in counts:
            with ShardedIndex.create(
                f"file://{work}/shards-{count}",
                shards=count,
                encoder=encoder,
                late=late,
                cache=work / "cache",
            ) as sharded:
                rankings = run_phases(sharded, collection)
                codec = codec_of(sharded)
            result[str(count)] = compare_retrievers(
                rankings["plain"], expected["plain"], collection
            ) | {"codec": codec is not None}
            if codec is None or late.exact_passages:
                reference, label = expected, str(count)
            else:
                with Index.create(work / f"one-{count}", encoder=encoder, late=late) as single:
                    with single.writing() as writer:
                        writer.give_codec(codec)
                    reference = run_phases(single, collection)
                label = f"{count}, by one codec"
                result[label] = compare_retrievers(
                    rankings["plain"], reference["plain"], collection
                )
                result[f"one index by the codec of {count}"] = compare_retrievers(
                    reference["plain"], expected["plain"], collection
                )
            for phase in PHASES:
                result[f"{label}, {phase}"] = compare_retrievers(
                    rankings[phase], reference[phase], collection
                )
            shutil.rmtree(work / "cache", ignore_errors=True)
        return result
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_phases(index: Index | ShardedIndex, collection: Collection) -> dict[str, Rankings]:
    """Rankings of an index: plain, filtered, after updates, and after compacting.

    Of every ten documents one is deleted and one keeps the first half of its text.
    """
    documents: list[Document] = list(collection.documents)
    index.add(documents)
    rankings = {"plain": search_all(index, collection, DEPTH)}
    rankings["filtered"] = search_all(index, collection, K, where=FILTER)
    index.delete([document.id for document in documents[::10]])
    halves = [
        replace(document, text=document.text[: len(document.text) // 2 + 1])
        for document in documents[5::10]
    ]
    index.add(halves)
    rankings["changed"] = search_all(index, collection, K)
    index.compact()
    rankings["compacted"] = search_all(index, collection, K)
    return rankings


def codec_of(sharded: ShardedIndex) -> LateCodec | None:
    """The codec by which the shards compress token vectors; None if none of them does."""
    with sharded._using() as generation:
        codecs = [
            codec_in_use(shard.snapshot.late.segments) for shard in generation.shards.values()
        ]
    return next((codec for codec in codecs if codec is not None), None)


def compare_retrievers(
    rankings: Rankings, expected: Rankings, collection: Collection
) -> dict[str, Any]:
    """How the rankings of two indexes compare, by retriever."""
    return {name: compare(rankings[name], expected[name], collection) for name in RETRIEVERS}


def search_all(index: Searching, collection: Collection, k: int, **options: Any) -> Rankings:
    """Hits of every query by each retriever."""
    ids = sorted(collection.queries)
    texts = [collection.queries[id] for id in ids]
    return {
        retriever: dict(
            zip(
                ids,
                index.search_batch(
                    texts, k, retriever=retriever, highlights=False, copies=True, **options
                ),
                strict=True,
            )
        )
        for retriever in RETRIEVERS
    }


def compare(
    hits_by_query: dict[str, list[Hit]], expected_hits: dict[str, list[Hit]], collection: Collection
) -> dict[str, float]:
    """Agreement of two rankings over all queries, and the quality of each."""
    top_hits = [
        [
            [(hit.document_id, hit.passage.ordinal) for hit in hits[id][:K]]
            for hits in (hits_by_query, expected_hits)
        ]
        for id in sorted(expected_hits)
    ]
    return {
        "same_order": float(np.mean([ours == theirs for ours, theirs in top_hits])),
        "overlap": float(
            np.mean(
                [len(set(ours) & set(theirs)) / max(1, len(theirs)) for ours, theirs in top_hits]
            )
        ),
        "quality": mean_ndcg(hits_by_query, collection),
        "quality_of_one": mean_ndcg(expected_hits, collection),
    }


def mean_ndcg(hits_by_query: dict[str, list[Hit]], collection: Collection) -> float:
    """nDCG@10 of documents, each scored by its best passage."""
    run: dict[str, dict[str, float]] = {}
    for id, hits in hits_by_query.items():
        scores = run.setdefault(id, {})
        for hit in hits:
            scores.setdefault(hit.document_id, hit.score)
    return means(collection.judgements, run, [MEASURE])[MEASURE]
