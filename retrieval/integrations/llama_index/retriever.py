"""An index as LlamaIndex's retriever."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle

from retrieval.index import Index
from retrieval.indexes import Where
from retrieval.integrations.llama_index.nodes import as_added, as_passage
from retrieval.integrations.returning import Returns, checked_returns, search_options
from retrieval.types import Retriever


class IndexRetriever(BaseRetriever):
    """Searches an index by text: words, dense vectors and late interaction together.

    The score of a node is its relevance, from 0 to 1.
    """

    def __init__(
        self,
        index: Index,
        k: int = 10,
        *,
        where: Where | None = None,
        retriever: Retriever = "hybrid",
        returns: Returns = "passage",
        callback_manager: CallbackManager | None = None,
        **options: Any,
    ) -> None:
        """Set the open index, which its owner closes.

        Args:
            index: an index, such as one that `retrieval index` created.
            k: maximum number of nodes.
            where: see `Index.search`: a text, a dict or a Filter.
            retriever: `hybrid`, `lexical`, `dense` or `late`.
            returns: `passage` returns the passages that were found; `document` whole documents,
                each once.
            callback_manager: LlamaIndex's.
            options: other options of `Index.search`, such as `min_relevance`.

        Raises:
            InputError: `returns` is unknown.
        """
        self.index = index
        self.k = k
        self.where = where
        self.retriever: Retriever = retriever
        self.returns: Returns = checked_returns(returns)
        self.options = options
        super().__init__(callback_manager=callback_manager)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.index!r}, k={self.k})"

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        asked = search_options(self.returns) | {"retriever": self.retriever} | self.options
        hits = self.index.search(query_bundle.query_str, self.k, where=self.where, **asked)
        if self.returns == "passage":
            return [NodeWithScore(node=as_passage(hit), score=hit.relevance) for hit in hits]
        whole = self.index.get_many([hit.document_id for hit in hits])
        return [
            NodeWithScore(node=as_added(one), score=hit.relevance)
            for one, hit in zip(whole, hits, strict=True)
            if one is not None  # deleted since the search
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
