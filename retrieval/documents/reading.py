"""A file to documents: one reader for each kind of file, chosen by its name."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

from retrieval.documents.decoding import HEAD_BYTES, decode, is_binary
from retrieval.documents.formats import html, jsonl, markdown, rst
from retrieval.documents.formats.languages import extension_of, language_of
from retrieval.documents.naming import one_line
from retrieval.documents.walk.discovery import SourceFile
from retrieval.errors import DocumentError
from retrieval.types import Document

_MAX_NUL_SHARE = 0.001
"""NULs beyond the head of a file do not make it binary until they are more than this of it."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What a file gave.

    Attributes:
        documents: in the order of the file; one, or for JSONL one for each good line.
        problems: one line for each thing that went wrong on the way.
        content_hash: SHA-256 of the file's bytes, as 64 hex digits.
    """

    documents: list[Document]
    problems: list[str]
    content_hash: str


def read(source: SourceFile) -> ReadResult:
    """Read a file whole.

    The text of a document is the file's text as it stands, newlines included, without a byte order
    mark. Of HTML it is what a reader sees, on the same lines. Metadata always has `path`,
    `extension` and `language`; documents of JSONL have `line` too, and the line's own fields.

    Raises:
        DocumentError: the file gives nothing at all: it is gone, cannot be read, holds no text,
            or is JSONL without a single good line.
    """
    name = one_line(source.id)
    data = _bytes(source)
    if is_binary(data[:HEAD_BYTES]):
        raise DocumentError(f"{name}: a binary file (it holds NUL bytes); only text can be read")
    language = language_of(source.id)
    text, note = decode(data, html=language == "html")
    if text.count("\0") > _MAX_NUL_SHARE * len(text):
        raise DocumentError(f"{name}: a binary file (it holds NUL bytes); only text can be read")
    problems = [f"{name}: {note}"] if note else []
    metadata = {"path": source.id, "extension": extension_of(source.id), "language": language}
    documents: list[Document]
    if language == "jsonl":
        documents, broken = jsonl.parse(text, path=source.id)
        problems += broken
        if not documents:
            raise DocumentError(_no_documents(name, broken))
    else:
        title = ""
        if language == "html":
            text, title = html.extract(text)
        elif language == "markdown":
            title = markdown.title(text)
        elif language == "rst":
            title = rst.title(text)
        documents = [Document(id=source.id, text=text, title=title, metadata=metadata)]
    return ReadResult(documents, problems, hashlib.sha256(data).hexdigest())


def _no_documents(name: str, broken: list[str]) -> str:
    if not broken:
        return f"{name}: holds no line with a document; one JSON object a line was expected"
    more = f" (and {len(broken) - 1} more like it)" if len(broken) > 1 else ""
    return f"{broken[0]}{more}; no line of the file is a document"


def _bytes(source: SourceFile) -> bytes:
    name = one_line(source.id)
    try:
        # A pipe that took the file's place since it was found must not hold the reader up.
        descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DocumentError(f"{name}: is no regular file; only files can be read")
            data = file.read()
    except FileNotFoundError:
        raise DocumentError(f"{name}: is gone since it was found") from None
    except OSError as error:
        raise DocumentError(f"{name}: cannot be read ({error.strerror or error})") from None
    if not data:
        raise DocumentError(f"{name}: is empty")
    return data
