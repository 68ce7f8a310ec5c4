"""An index and an encoder as LangChain components.

`IndexVectorStore` and `IndexRetriever` use an open `retrieval.Index`; `IndexDocumentIndex` is a
retriever that can also be written to, and `EncoderEmbeddings` provides an encoder's dense vectors.
All have LangChain's asynchronous methods too.
"""

from retrieval.errors import MissingDependency

try:
    import langchain_core  # noqa: F401
except ImportError as error:
    raise MissingDependency(
        f"the LangChain adapters need langchain-core, which cannot be imported ({error}): "
        "pip install 'modernbert-retrieval[langchain]'"
    ) from None

from retrieval.integrations.langchain.document_index import IndexDocumentIndex
from retrieval.integrations.langchain.embeddings import EncoderEmbeddings
from retrieval.integrations.langchain.retriever import IndexRetriever
from retrieval.integrations.langchain.vector_store import IndexVectorStore

__all__ = ["EncoderEmbeddings", "IndexDocumentIndex", "IndexRetriever", "IndexVectorStore"]
