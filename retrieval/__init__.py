"""Retrieval around ModernBERT: index a folder, search it, measure it."""

TYPE_CHECKING = False
"""As that of `typing`: the command line's first import is this, and is over before Ctrl-C comes."""
if TYPE_CHECKING:
    from typing import Any

    from retrieval.errors import RetrievalError
    from retrieval.index import Index
    from retrieval.indexes import Filter
    from retrieval.types import Document, Embeddings, Hit, Hybrid, LateOptions, Passage, TokenMatch

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
_MODULES = {"Filter": "indexes", "Index": "index", "RetrievalError": "errors"}
"""Where a name is defined; all others are in `types`."""


def __getattr__(name: str) -> "Any":
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
