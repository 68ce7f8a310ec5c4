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

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.documents.naming import source_id
    from retrieval.documents.passages import MAX_TOKENS, chunk
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


_MODULES = {
    "naming": "source_id",
    "passages": "MAX_TOKENS chunk",
    "reading": "ReadOptions ReadResult ending_is_current is_current read reader_of",
    "walk": "MAX_BYTES Discovery JudgedFile LeftOut SourceFile Stamp WalkOptions discover",
}


if not TYPE_CHECKING:  # where a name that is misspelt would be of any type

    def __getattr__(name: str) -> object:
        """Load a part when it is first asked for: an index that is only searched reads no files."""
        for module, names in _MODULES.items():
            if name in names.split():
                value = getattr(import_module(f"{__name__}.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
