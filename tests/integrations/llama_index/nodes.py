"""The nodes that the tests store, with their embeddings."""

from __future__ import annotations

from typing import Any

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

TEXTS = {
    "a": "A writer takes the lock.",
    "b": "Readers keep a snapshot.",
    "c": "Rotary positions need no table.",
}
METADATA: dict[str, dict[str, Any]] = {
    "a": {"year": 2021, "tags": ["x", "y"], "name": "Lock notes"},
    "b": {"year": 2024, "tags": [], "name": "snapshots"},
    "c": {"name": "lock tables", "title": "Rotary"},
}
VECTORS = {"a": [1.0, 0.0, 0.2], "b": [0.0, 1.0, 0.0], "c": [0.9, 0.1, 0.3]}


def nodes(*names: str) -> list[TextNode]:
    return [
        TextNode(
            id_=name,
            text=TEXTS[name],
            metadata=dict(METADATA[name]),
            embedding=list(VECTORS[name]),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{name}")},
        )
        for name in names or TEXTS
    ]
