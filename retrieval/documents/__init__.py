"""Files to passages: what to read, reading it, cutting it.

walk       which files a folder gives, and why the rest is left out
decoding   bytes to text
workers    parsers of foreign bytes in processes of their own
formats    what each format makes of a file: text, title, metadata, outline
reading    a file to documents
outline    a document's sections and blocks
context    what an outline says of a span: headings, symbol, table header; page, cell, row
roles      what a file is there for: source, test, docs, ...
passages   a document to passages, whose spans of its text are the passages
naming     names of files as ids

natural_queries  what people write that asks for what stands with it: headings, docstrings
"""

from typing import TYPE_CHECKING, Any

from retrieval.documents.naming import source_id
from retrieval.documents.reading import (
    ReadOptions,
    ReadResult,
    ending_is_current,
    is_current,
    read,
    reader_of,
)
from retrieval.documents.walk import (
    MAX_BYTES,
    Discovery,
    JudgedFile,
    LeftOut,
    SourceFile,
    Stamp,
    WalkOptions,
    discover,
)

if TYPE_CHECKING:
    from retrieval.documents.passages import MAX_TOKENS, chunk

__all__ = [
    "MAX_BYTES",
    "MAX_TOKENS",
    "Discovery",
    "JudgedFile",
    "LeftOut",
    "ReadOptions",
    "ReadResult",
    "SourceFile",
    "Stamp",
    "WalkOptions",
    "chunk",
    "discover",
    "ending_is_current",
    "is_current",
    "read",
    "reader_of",
    "source_id",
]


def __getattr__(name: str) -> Any:
    """Load what cuts passages when it is first asked for: it brings numpy with it."""
    if name in ("MAX_TOKENS", "chunk"):
        from retrieval.documents import passages

        return getattr(passages, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
