"""An index as LangChain's retriever."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field

from retrieval.index import Index
from retrieval.integrations.langchain.documents import found_documents
from retrieval.integrations.returning import Returns, checked_returns, search_options
from retrieval.types import Retriever


class IndexRetriever(BaseRetriever):
    """Searches an index by text. Options given to `invoke` override the attributes.

    Raises the errors of `Index.search`.

    Attributes:
        index: an open index, which its owner closes.
        k: how many results to return.
        filter: see `where` of `Index.search`: a dict, a text or a Filter.
        retriever: `hybrid`, `lexical`, `dense` or `late`.
        returns: `passage` returns passages: the text is the passage's, `metadata` the document's
            with `start_index`, `start_line`, `end_line`, `score`, `relevance` and, if available,
            `source`, `title`, `heading`, `symbol`, `page` and so on, unless the document has those
            keys itself. `document` returns documents as they were added, each once.
        search_kwargs: other options of `Index.search`, such as `min_relevance`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: Index
    k: int = 4
    filter: Any = None
    retriever: Retriever = "hybrid"
    returns: Returns = "passage"
    search_kwargs: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return self._search(query, options)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return await run_in_executor(None, self._search, query, options)

    def _search(self, query: str, given: dict[str, Any]) -> list[Document]:
        asked = {
            "k": self.k,
            "filter": self.filter,
            "retriever": self.retriever,
            "returns": self.returns,
            **self.search_kwargs,
            **given,
        }
        where, returns = asked.pop("filter"), checked_returns(asked.pop("returns"))
        hits = self.index.search(query, where=where, **(search_options(returns) | asked))
        return [document for document, _ in found_documents(self.index, hits, returns)]
