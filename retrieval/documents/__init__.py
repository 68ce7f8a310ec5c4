"""Files to passages: what to read, reading it, cutting it.

`discover` walks files and folders, `read` makes documents of a file, `chunk` cuts a document into
passages whose spans of its text are the passages.
"""

from retrieval.documents.naming import source_id
from retrieval.documents.passages import MAX_TOKENS, chunk
from retrieval.documents.reading import ReadResult, read
from retrieval.documents.walk.discovery import MAX_BYTES, Discovery, SourceFile, discover

__all__ = [
    "MAX_BYTES",
    "MAX_TOKENS",
    "Discovery",
    "ReadResult",
    "SourceFile",
    "chunk",
    "discover",
    "read",
    "source_id",
]
