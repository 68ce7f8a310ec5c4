"""Which format a checkpoint folder is in, from its JSON files alone."""

from __future__ import annotations

from typing import Literal

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.errors import CheckpointError

Format = Literal["own", "transformers", "sentence-transformers", "multi-vector", "stanford"]
"""`own` is what this package exports; `multi-vector` is PyLate's and sentence-transformers 6's."""

_PYLATE_KEYS = frozenset(
    {
        "query_prefix", "document_prefix", "query_length", "document_length",
        "attend_to_expansion_tokens", "do_query_expansion", "skiplist_words",
    }
)  # fmt: skip


def detect(folder: Folder) -> Format:
    """The format of a folder.

    Raises:
        CheckpointError: it is none that gives embeddings.
    """
    if not folder.has("modules.json"):
        config = folder.object("config.json")
        if isinstance(config.get("retrieval"), dict):
            return "own"
        return "stanford" if "HF_ColBERT" in folder.architectures else "transformers"
    settings = folder.object("config_sentence_transformers.json", optional=True)
    kind = settings.get("model_type")
    if kind not in (None, "SentenceTransformer", "MultiVectorEncoder", "ColBERT"):
        raise CheckpointError(
            f"{folder.name}: a {kind}, which gives neither dense nor token vectors; "
            "expected a SentenceTransformer, a MultiVectorEncoder or a ColBERT"
        )
    if kind in ("MultiVectorEncoder", "ColBERT") or not _PYLATE_KEYS.isdisjoint(settings):
        return "multi-vector"
    listed = folder.json("modules.json")
    types = [str(entry.get("type")) for entry in listed if isinstance(entry, dict)]
    by_pylate = any(name.startswith("pylate.") for name in types)
    return "multi-vector" if by_pylate else "sentence-transformers"
