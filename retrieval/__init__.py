"""Retrieval around ModernBERT: index a folder, search it, measure it."""

from typing import TYPE_CHECKING, Any

from retrieval.errors import RetrievalError
from retrieval.types import Document, Embeddings, Hit, Hybrid, LateOptions, Passage, TokenMatch

if TYPE_CHECKING:
    from retrieval.index import Index

__version__ = "0.1.0"
__all__ = [
    "Document",
    "Embeddings",
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
    """Load `Index` when it is first asked for: it brings numpy and sqlite3 with it."""
    if name == "Index":
        from retrieval.index import Index

        return Index
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
