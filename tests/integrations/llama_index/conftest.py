from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retrieval import Index

if TYPE_CHECKING:  # the test modules are left out where LlamaIndex is not installed
    from retrieval.integrations.llama_index import IndexVectorStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IndexVectorStore]:
    """Keeps the nodes' embeddings."""
    from retrieval.integrations.llama_index import IndexVectorStore
    from tests.integrations.llama_index.nodes import nodes

    made = IndexVectorStore(tmp_path / "kept", embedding_dim=3)
    made.add(nodes())
    yield made
    made.index.close()


@pytest.fixture
def own(index: Index) -> IndexVectorStore:
    """Over an index whose encoder makes the vectors."""
    from retrieval.integrations.llama_index import IndexVectorStore
    from tests.integrations.llama_index.nodes import nodes

    made = IndexVectorStore(index)
    made.add(nodes())
    return made
