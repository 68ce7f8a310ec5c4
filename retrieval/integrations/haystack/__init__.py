"""An index and an encoder as Haystack components.

`IndexDocumentStore` is an index as a document store, `IndexTextRetriever` and
`IndexEmbeddingRetriever` search it, `EncoderDocumentEmbedder` and `EncoderTextEmbedder` are an
encoder's dense vectors, and `EncoderRanker` ranks documents. All have Haystack's
asynchronous methods, and can be saved with a pipeline.
"""

from retrieval.errors import MissingDependency

try:
    import haystack  # noqa: F401
except ImportError as error:
    raise MissingDependency(
        f"the Haystack adapters need haystack-ai, which cannot be imported ({error}): "
        "pip install 'modernbert-retrieval[haystack]'"
    ) from None

from haystack.core.serialization import allow_deserialization_module

from retrieval.integrations.haystack.document_store import IndexDocumentStore
from retrieval.integrations.haystack.embedders import EncoderDocumentEmbedder, EncoderTextEmbedder
from retrieval.integrations.haystack.ranker import EncoderRanker
from retrieval.integrations.haystack.retrievers import IndexEmbeddingRetriever, IndexTextRetriever

# A saved pipeline with these components can be loaded wherever this module was imported: what they
# load is only weights and texts, never code.
allow_deserialization_module(__name__)

__all__ = [
    "EncoderDocumentEmbedder",
    "EncoderRanker",
    "EncoderTextEmbedder",
    "IndexDocumentStore",
    "IndexEmbeddingRetriever",
    "IndexTextRetriever",
]
