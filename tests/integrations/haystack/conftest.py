from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from retrieval import Index

if TYPE_CHECKING:  # the test modules are left out where Haystack is not installed
    from retrieval.integrations.haystack import IndexDocumentStore


@pytest.fixture
def store(index: Index) -> IndexDocumentStore:
    """Over an index whose encoder makes the vectors."""
    from retrieval.integrations.haystack import IndexDocumentStore
    from tests.integrations.haystack.notes import NOTES

    made = IndexDocumentStore(index)
    made.write_documents(NOTES)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[IndexDocumentStore]:
    """Keeps the embeddings of its documents, of which the last has none."""
    from retrieval.integrations.haystack import IndexDocumentStore
    from tests.integrations.haystack.notes import NOTES

    made = IndexDocumentStore(tmp_path / "kept", embedding_dim=3)
    vectors: list[Any] = [[2.0, 0, 0], [0, 1, 0], None]
    made.write_documents([replace(n, embedding=v) for n, v in zip(NOTES, vectors, strict=True)])
    yield made
    made.close()
