"""Converting between LlamaIndex's nodes and documents of an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from retrieval import types
from retrieval.types import Hit


def to_store(node: BaseNode) -> types.Document:
    """The node in the form that an index stores.

    Its metadata becomes the document's, together with what LlamaIndex stores of a node:
    `_node_content` and so on. If the `title` in its metadata is a text, it becomes the title for
    searching and reading.
    """
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    title = node.metadata.get("title")
    return types.Document(
        node.node_id,
        text,
        title if isinstance(title, str) else "",
        node_to_metadata_dict(node, remove_text=True),
    )


def has_direction(embedding: Sequence[float] | None) -> bool:
    """Whether an embedding can be compared by cosine, that is, exists and is not all zeros."""
    return embedding is not None and any(embedding)


def as_added(document: types.Document) -> BaseNode:
    """The node as it was added; for documents not written by LlamaIndex, a node of the text."""
    if "_node_content" in document.metadata:
        return metadata_dict_to_node(dict(document.metadata), text=document.text)
    return TextNode(id_=document.id, text=document.text, metadata=dict(document.metadata))


def as_passage(hit: Hit) -> TextNode:
    """A passage that was found, with its position in the form of LlamaIndex's splitters."""
    where: dict[str, Any] = {
        "file_path": hit.path,
        "title": hit.title,
        "heading": hit.heading,
        "symbol": hit.symbol,
        "page_label": None if hit.place.page is None else str(hit.place.page),
        "start_line": hit.start_line,
        "end_line": hit.end_line,
    }
    told = {key: value for key, value in where.items() if value not in (None, "")}
    own = {key: value for key, value in hit.metadata.items() if not key.startswith("_node_")}
    return TextNode(
        id_=f"{hit.document_id}#{hit.passage.ordinal}",
        text=hit.text,
        metadata=told | own,
        start_char_idx=hit.passage.start,
        end_char_idx=hit.passage.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit.document_id)},
    )
