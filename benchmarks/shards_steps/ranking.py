"""How far the ranking of a collection in shards is that of one index."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from index_size import Remembering

from retrieval.eval import Collection, load, means
from retrieval.eval.datasets.collection import Documents
from retrieval.index import Index
from retrieval.index.searching import Searching
from retrieval.index.writing.codecs import codec_in_use
from retrieval.indexes import LateCodec
from retrieval.sharded import ShardedIndex
from retrieval.types import RETRIEVERS, Document, Hit, LateOptions

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
KINDS = 5
"""Documents are of so many kinds; a search with a filter is among those of two."""

FILTER = "kind in [1, 3]"
LATER = ("filtered", "changed", "compacted")
"""What is compared beside the plain searches, see `life`."""


def ranking(
    folders: Sequence[str], counts: Sequence[int], settings: Sequence[str], most: int | None
) -> dict[str, Any]:
    """By collection, setting, number of shards and retriever, how rankings compare.

    Args:
        folders: of the collections.
        counts: of shards.
        settings: of `SETTINGS`.
        most: of so many queries of each collection, evenly over their sorted ids; None is all.
    """
    encoder = Remembering()
    found: dict[str, Any] = {}
    for folder in folders:
        (collection,) = load(folder, None)
        collection = _of_kinds(collection, most)
        found[collection.name] = {
            setting: measured(collection, encoder, SETTINGS[setting], counts)
            for setting in settings
        }
        encoder.forget()
    return found


def _of_kinds(collection: Collection, most: int | None) -> Collection:
    """The collection with something to filter by, and no more queries than that."""
    judged = sorted(id for id in collection.queries if id in collection.judgements)
    step = 1 if most is None else max(1, -(-len(judged) // most))
    made = [
        replace(one, metadata={**one.metadata, "kind": crc32(one.id.encode()) % KINDS})
        for one in collection.documents
    ]
    return replace(
        collection,
        documents=Documents(lambda: iter(made), len(made), frozenset()),
        queries={id: collection.queries[id] for id in judged[::step]},
        judgements={id: collection.judgements[id] for id in judged[::step]},
    )


def measured(
    collection: Collection, encoder: Remembering, late: LateOptions, counts: Sequence[int]
) -> dict[str, Any]:
    """By number of shards and retriever, how the rankings compare."""
    work = Path(tempfile.mkdtemp())
    try:
        with Index.create(work / "one", encoder=encoder, late=late) as one:
            expected = life(one, collection)
            passages = one.status().passages
        found: dict[str, Any] = {"passages": passages, "queries": len(collection.queries)}
        for count in counts:
            with ShardedIndex.create(
                f"file://{work}/shards-{count}",
                shards=count,
                encoder=encoder,
                late=late,
                cache=work / "cache",
            ) as sharded:
                ranked = life(sharded, collection)
                codec = codec_of(sharded)
            found[str(count)] = beside(ranked["plain"], expected["plain"], collection) | {
                "codec": codec is not None
            }
            if codec is None or late.exact_passages:
                same, name = expected, str(count)
            else:
                with Index.create(work / f"one-{count}", encoder=encoder, late=late) as one:
                    with one.writing() as writer:
                        writer.give_codec(codec)
                    same = life(one, collection)
                name = f"{count}, by one codec"
                found[name] = beside(ranked["plain"], same["plain"], collection)
                found[f"one index by the codec of {count}"] = beside(
                    same["plain"], expected["plain"], collection
                )
            for phase in LATER:
                found[f"{name}, {phase}"] = beside(ranked[phase], same[phase], collection)
            shutil.rmtree(work / "cache", ignore_errors=True)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def life(index: Index | ShardedIndex, collection: Collection) -> dict[str, Ranked]:
    """What an index answers: plainly, filtered, after changes, and once it is compacted.

    Changes are that of every ten documents one is deleted and one keeps the first half of its text.
    """
    documents: list[Document] = list(collection.documents)
    index.add(documents)
    found = {"plain": answers(index, collection, DEPTH)}
    found["filtered"] = answers(index, collection, K, where=FILTER)
    index.delete([one.id for one in documents[::10]])
    halves = [replace(one, text=one.text[: len(one.text) // 2 + 1]) for one in documents[5::10]]
    index.add(halves)
    found["changed"] = answers(index, collection, K)
    index.compact()
    found["compacted"] = answers(index, collection, K)
    return found


def codec_of(sharded: ShardedIndex) -> LateCodec | None:
    """What the shards store token vectors by."""
    with sharded._using() as generation:
        used = [codec_in_use(s.snapshot.late.segments) for s in generation.shards.values()]
    return next((codec for codec in used if codec is not None), None)


def beside(found: Ranked, expected: Ranked, collection: Collection) -> dict[str, Any]:
    """By retriever, how two indexes' answers compare."""
    return {name: compared(found[name], expected[name], collection) for name in RETRIEVERS}


def answers(index: Searching, collection: Collection, k: int, **options: Any) -> Ranked:
    """The best passages of each query, by each retriever."""
    ids = sorted(collection.queries)
    texts = [collection.queries[id] for id in ids]
    return {
        name: dict(
            zip(
                ids,
                index.search_batch(
                    texts, k, retriever=name, highlights=False, copies=True, **options
                ),
                strict=True,
            )
        )
        for name in RETRIEVERS
    }


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
