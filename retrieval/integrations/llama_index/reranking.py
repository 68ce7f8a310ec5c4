"""LlamaIndex's postprocessor: ranking nodes by an encoder or a cross-encoder."""

from __future__ import annotations

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from retrieval.errors import InputError
from retrieval.types import Reranker


class EncoderRerank(BaseNodePostprocessor, extra="forbid"):
    """Ranks nodes by how well they answer the query; higher scores are better.

    Scored by late interaction, or by cosine if the model has no token head; a cross-encoder reads
    query and node together. The text of a node is what LlamaIndex would embed.
    """

    model: str | None = Field(
        default=None,
        description="Folder or Hub id of an encoder or cross-encoder; None is the embedded model.",
    )
    top_n: int = Field(default=10, description="How many nodes to return.", ge=1)
    _reranker: Reranker | None = PrivateAttr(default=None)

    @classmethod
    def class_name(cls) -> str:
        """The class's name, as LlamaIndex stores it."""
        return "EncoderRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("no query was given to rank by; give query_str or query_bundle")
        if not nodes:
            return []
        texts = [one.node.get_content(metadata_mode=MetadataMode.EMBED) for one in nodes]
        ranked = self._loaded().rerank(query_bundle.query_str, texts, self.top_n)
        return [NodeWithScore(node=nodes[one.index].node, score=one.score) for one in ranked]

    def _loaded(self) -> Reranker:
        if self._reranker is None:
            from retrieval.encoders import load_reranker

            self._reranker = load_reranker(self.model)
        return self._reranker
