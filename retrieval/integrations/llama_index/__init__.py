"""An index and an encoder as LlamaIndex components.

`IndexVectorStore` and `IndexRetriever` use an index, `EncoderEmbedding` provides an encoder's dense
vectors, and `EncoderRerank` ranks nodes. All have LlamaIndex's asynchronous methods.
"""

from retrieval.errors import MissingDependency

try:
    import llama_index.core  # noqa: F401
except ImportError as error:
    raise MissingDependency(
        f"the LlamaIndex adapters need llama-index-core, which cannot be imported ({error}): "
        "pip install 'modernbert-retrieval[llama-index]'"
    ) from None

from retrieval.integrations.llama_index.embedding import EncoderEmbedding
from retrieval.integrations.llama_index.reranking import EncoderRerank
from retrieval.integrations.llama_index.retriever import IndexRetriever
from retrieval.integrations.llama_index.vector_store import IndexVectorStore

__all__ = ["EncoderEmbedding", "EncoderRerank", "IndexRetriever", "IndexVectorStore"]
