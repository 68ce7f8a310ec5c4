"""Retrieval around ModernBERT: index a folder, search it, measure it."""

TYPE_CHECKING = False
"""As that of `typing`: the command line's first import is this, and is over before Ctrl-C comes."""
if TYPE_CHECKING:
    from retrieval import errors as errors
    from retrieval import types as types
    from retrieval.errors import RetrievalError
    from retrieval.hits import Hits
    from retrieval.index import Index
    from retrieval.indexes import Filter
    from retrieval.types import Document, Embeddings, Hit, Hybrid, LateOptions, Passage, TokenMatch

__version__ = "0.1.0"
__all__ = [
    "Document",
    "Embeddings",
    "Filter",
    "Hit",
    "Hits",
    "Hybrid",
    "Index",
    "LateOptions",
    "Passage",
    "RetrievalError",
    "TokenMatch",
    "__version__",
]
_MODULES = {
    "Filter": "indexes",
    "Hits": "hits",
    "Index": "index",
    "RetrievalError": "errors",
}
"""Where a name is defined; all others are in `types`."""


if not TYPE_CHECKING:  # where a name that is misspelt would be of any type

    def __getattr__(name: str) -> object:
        """Load what is first asked for; the index brings numpy and sqlite3 with it."""
        from importlib import import_module

        if name in ("errors", "types"):
            return import_module(f"{__name__}.{name}")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'types')}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
