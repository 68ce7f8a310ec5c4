"""How far the ranking of a collection in shards is that of one index."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from index_size import Remembering

from retrieval.eval import Collection, load, means
from retrieval.index import Index
from retrieval.index.searching import Searching
from retrieval.index.writing.codecs import codec_in_use
from retrieval.indexes import LateCodec
from retrieval.sharded import ShardedIndex
from retrieval.types import RETRIEVERS, Hit, LateOptions

MEASURE = "nDCG@10"
Ranked = dict[str, dict[str, list[Hit]]]
"""By retriever and query, the hits."""

K = 10
DEPTH = 100
SETTINGS = {
    "uncompressed": LateOptions(exact_passages=10**9, list_passages=10**9),
    "default": LateOptions(),
    "compressed": LateOptions(exact_passages=0),
}


def ranking(folders: Sequence[str], counts: Sequence[int]) -> dict[str, Any]:
    """By collection, setting, number of shards and retriever, how rankings compare."""
    encoder = Remembering()
    found: dict[str, Any] = {}
    for folder in folders:
        (collection,) = load(folder, None)
        found[collection.name] = {
            setting: measured(collection, encoder, late, counts)
            for setting, late in SETTINGS.items()
        }
        encoder.forget()
    return found


def measured(
    collection: Collection, encoder: Remembering, late: LateOptions, counts: Sequence[int]
) -> dict[str, Any]:
    """By number of shards and retriever, how the rankings compare."""
    work = Path(tempfile.mkdtemp())
    try:
        with Index.create(work / "one", encoder=encoder, late=late) as one:
            one.add(collection.documents)
            passages = one.status().passages
            expected = {name: answers(one, collection, name) for name in RETRIEVERS}
        found: dict[str, Any] = {"passages": passages}
        for count in counts:
            with ShardedIndex.create(
                f"file://{work}/shards-{count}",
                shards=count,
                encoder=encoder,
                late=late,
                cache=work / "cache",
            ) as sharded:
                sharded.add(collection.documents)
                ranked = {name: answers(sharded, collection, name) for name in RETRIEVERS}
                codec = codec_of(sharded)
            found[str(count)] = beside(ranked, expected, collection) | {"codec": codec is not None}
            if codec is None or late.exact_passages:
                continue
            with Index.create(work / f"one-{count}", encoder=encoder, late=late) as one:
                with one.writing() as writer:
                    writer.give_codec(codec)
                one.add(collection.documents)
                same = {name: answers(one, collection, name) for name in RETRIEVERS}
            found[f"{count}, by one codec"] = beside(ranked, same, collection)
            found[f"one index by the codec of {count}"] = beside(same, expected, collection)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def codec_of(sharded: ShardedIndex) -> LateCodec | None:
    """What the shards store token vectors by."""
    with sharded._using() as generation:
        used = [codec_in_use(s.snapshot.late.segments) for s in generation.shards.values()]
    return next((codec for codec in used if codec is not None), None)


def beside(found: Ranked, expected: Ranked, collection: Collection) -> dict[str, Any]:
    """By retriever, how two indexes' answers compare."""
    return {name: compared(found[name], expected[name], collection) for name in RETRIEVERS}


def answers(index: Searching, collection: Collection, retriever: Any) -> dict[str, list[Hit]]:
    """The best passages of each query."""
    ids = sorted(collection.queries)
    texts = [collection.queries[id] for id in ids]
    found = index.search_batch(texts, DEPTH, retriever=retriever, highlights=False, copies=True)
    return dict(zip(ids, found, strict=True))


def compared(
    found: dict[str, list[Hit]], expected: dict[str, list[Hit]], collection: Collection
) -> dict[str, float]:
    """How two rankings of each query agree, and how good they are."""
    firsts = [
        [
            [(hit.document_id, hit.passage.ordinal) for hit in run[id][:K]]
            for run in (found, expected)
        ]
        for id in sorted(expected)
    ]
    return {
        "same_order": float(np.mean([own == other for own, other in firsts])),
        "overlap": float(
            np.mean([len(set(own) & set(other)) / max(1, len(other)) for own, other in firsts])
        ),
        "quality": quality(found, collection),
        "quality_of_one": quality(expected, collection),
    }


def quality(found: dict[str, list[Hit]], collection: Collection) -> float:
    """nDCG@10 of documents by their best passage."""
    run: dict[str, dict[str, float]] = {}
    for id, hits in found.items():
        scores = run.setdefault(id, {})
        for hit in hits:
            scores.setdefault(hit.document_id, hit.score)
    return means(collection.judgements, run, [MEASURE])[MEASURE]
