"""Qdrant: a collection with a named vector, and a multivector compared by MaxSim."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from retrieval.errors import InputError, RetrievalError
from retrieval.service.exporting.rows import Row, in_batches
from retrieval.service.exporting.systems import Shape, unwritten

_AT_ONCE = 64
"""Points per request: some 5 MB with token vectors."""


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Create the collection `shape.name`; an existing one is not overwritten.

    A target with `://` is a server, whose key is taken from QDRANT_API_KEY; otherwise it is a
    folder. Dense vectors have unit length, so their dot product is the cosine; the dot product of
    token vectors keeps the weights of query tokens.
    """
    from qdrant_client.http.exceptions import ApiException

    try:
        client = _client(target)
        try:
            if client.collection_exists(shape.name):
                raise InputError(
                    f"{target} has a collection {shape.name!r} already; choose another --name, "
                    "or delete it"
                )
            client.create_collection(shape.name, vectors_config=_vectors(shape))
            try:
                for some in in_batches(rows, _AT_ONCE):
                    client.upsert(shape.name, points=[_point(row) for row in some])
            except BaseException:
                client.delete_collection(shape.name)
                raise
        finally:
            client.close()
    except RetrievalError:
        raise
    except (ApiException, ValueError, RuntimeError) as error:
        raise unwritten(target, error) from error


def _client(target: str) -> Any:
    from qdrant_client import QdrantClient

    if "://" in target:
        # The client's version check warns, on a thread of its own, if the server does not answer;
        # the first call reports that as well.
        key = os.environ.get("QDRANT_API_KEY")
        return QdrantClient(url=target, api_key=key, check_compatibility=False)
    return QdrantClient(path=target)


def _vectors(shape: Shape) -> dict[str, Any]:
    from qdrant_client import models

    made = {}
    if shape.dense_dim is not None:
        made["dense"] = models.VectorParams(size=shape.dense_dim, distance=models.Distance.DOT)
    if shape.token_dim is not None:
        made["tokens"] = models.VectorParams(
            size=shape.token_dim,
            distance=models.Distance.DOT,
            multivector_config=models.MultiVectorConfig(
                comparator=models.MultiVectorComparator.MAX_SIM
            ),
            hnsw_config=models.HnswConfigDiff(m=0),  # a graph over token vectors is not worthwhile
        )
    return made


def _point(row: Row) -> Any:
    from qdrant_client import models

    vectors = {"dense": row.dense, "tokens": row.tokens}
    return models.PointStruct(
        id=row.uuid,
        vector={name: it.tolist() for name, it in vectors.items() if it is not None},
        payload={
            "id": row.id,
            "document_id": row.document_id,
            "ordinal": row.ordinal,
            "text": row.text,
            "title": row.title,
            "heading": row.heading,
            "symbol": row.symbol,
            "metadata": dict(row.metadata),
        },
    )
