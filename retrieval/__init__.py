"""Retrieval around ModernBERT: index a folder, search it, measure it."""

from typing import TYPE_CHECKING, Any

from retrieval.errors import RetrievalError
from retrieval.types import Document, Embeddings, Hit, Hybrid, LateOptions, Passage, TokenMatch

if TYPE_CHECKING:
    from retrieval.index import Index
    from retrieval.indexes import Filter

__version__ = "0.1.0"
__all__ = [
    "Document",
    "Embeddings",
    "Filter",
    "Hit",
    "Hybrid",
    "Index",
    "LateOptions",
    "Passage",
    "RetrievalError",
    "TokenMatch",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import names that need numpy and sqlite3 on first use."""
    if name == "Index":
        from retrieval.index import Index

        return Index
    if name == "Filter":
        from retrieval.indexes import Filter

        return Filter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
