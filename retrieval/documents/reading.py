"""A file to documents, by its format; each document is parsed once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from retrieval.documents import workers
from retrieval.documents.decoding import ENCODINGS_VERSION, HEAD_BYTES, NO_TEXT, is_binary
from retrieval.documents.formats import Format, Parsed, Source, format_of, formats
from retrieval.documents.formats.languages import extension_of
from retrieval.documents.formats.table import named, names_with_ending
from retrieval.documents.naming import one_line
from retrieval.documents.outline import Outline
from retrieval.documents.roles import VERSION as ROLES_VERSION
from retrieval.documents.roles import role_of
from retrieval.documents.walk import SourceFile
from retrieval.errors import DocumentError, MissingDependency, RetrievalError
from retrieval.files.regular import open_regular
from retrieval.types import Document


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user states about the files to read.

    Attributes:
        encoding: the character encoding of all the files, or None to detect each.
        text_field: the field of a record that holds its text, or None to choose by name.
        rows: whether each row of a table file becomes a document.
    """

    encoding: str | None = None
    text_field: str | None = None
    rows: bool = False


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What a file gave.

    Attributes:
        documents: in the order of the file; one, or several of a format that holds several.
        outlines: their structures, in the same order.
        problems: one line for each thing that went wrong on the way.
        content_hash: SHA-256 of the file's bytes, as 64 hex digits.
        reader: what read it, see `reader_of`.
        by_layout: how many documents have a structure that was told by their layout, since no
            parser could follow them.
    """

    documents: list[Document]
    outlines: list[Outline]
    problems: list[str]
    content_hash: str
    reader: str
    by_layout: int = 0


def reader_of(format: Format, options: ReadOptions) -> str:
    """What decides how a file is read: the format, its version and the options that are set.

    How its role is told is part of that, and so is how the encoding of a text is.
    """
    given = [
        f"roles={ROLES_VERSION}",
        f"encodings={ENCODINGS_VERSION}",
        *(
            f"{name}={value}"
            for name, value in (
                ("encoding", options.encoding),
                ("text_field", options.text_field),
                ("rows", options.rows),
            )
            if value
        ),
    ]
    return " ".join([format.name, str(format.version), *given])


def is_current(reader: str, name: str, options: ReadOptions) -> bool:
    """Whether a file of this name would be read now by what read it then."""
    format = formats().get(reader.split(" ")[0])
    if format is None or reader != reader_of(format, options):
        return False
    by_name = named(name)
    # Content may have decided against the name; that is known only by opening the file again.
    return by_name in (None, format) or format.sniff is not None


def ending_is_current(reader: str, ending: str, options: ReadOptions) -> bool | None:
    """`is_current` for all files whose paths end so; None if it takes the whole name to tell.

    Args:
        reader: what read them then.
        ending: what follows the last dot of the path, or all of it if there is none.
        options: how they are read now.
    """
    format = formats().get(reader.split(" ")[0])
    if format is None or reader != reader_of(format, options):
        return False
    return True if format.sniff or names_with_ending(ending) <= {format.name} else None


def read(source: SourceFile, options: ReadOptions | None = None) -> ReadResult:
    """Read a file whole.

    The text of a document is the file's text as it stands, newlines included, without a byte order
    mark. Of HTML it is what a reader sees, on the same lines. Metadata always has `path`,
    `extension` and `format`, and `role` unless the file is data; code has `language`; documents of
    JSONL have `line` too, and the line's own fields.

    Raises:
        InputError: the encoding of `options` is not known.
        DocumentError: the file gives nothing at all: it is gone, cannot be read, holds no text,
            or is JSONL without a single good line.
    """
    options = options or ReadOptions()
    name = one_line(source.id)
    data = _bytes(source)
    head = data[:HEAD_BYTES]
    format = format_of(source.id, head)
    if not format.binary and is_binary(data):
        raise DocumentError(f"{name}: {NO_TEXT}")
    told = Source(source.id, options.encoding, options.text_field, options.rows)
    try:
        parsed = _parsed(format, data, told)
    except (DocumentError, MissingDependency) as error:
        raise DocumentError(_named(name, str(error))) from None
    if not parsed:
        raise DocumentError(f"{name}: nothing in it has text; a file with some was expected")
    return ReadResult(
        [_document(source, format, one, head) for one in parsed],
        [one.outline for one in parsed],
        [_named(name, problem) for one in parsed for problem in one.problems],
        hashlib.sha256(data).hexdigest(),
        reader_of(format, options),
        sum(one.by_layout for one in parsed),
    )


def _parsed(format: Format, data: bytes, source: Source) -> list[Parsed]:
    """What a format makes of bytes; whatever else than an InputError it raises is its file's."""
    if format.isolated:
        try:
            return workers.parse(format.parse, data, source)
        except workers.ParserEndedError as error:
            if format.without_files is None:
                raise
            rest = workers.parse(format.without_files, data, source)
            if rest:
                why = f"{error}; read without some of the files in it"
                rest[0] = replace(rest[0], problems=(*rest[0].problems, why))
            return rest
    try:
        made = format.parse(data, source)
        return [made] if isinstance(made, Parsed) else list(made)
    except RetrievalError:
        raise
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    except Exception as error:
        raise DocumentError(
            f"its parser failed ({type(error).__name__}: {error}); please report this file"
        ) from error


def _document(source: SourceFile, format: Format, parsed: Parsed, head: bytes) -> Document:
    language = str(parsed.metadata.get("language") or "")
    # Of a file in an archive the archive's format tells, which has it before it.
    role = "" if format.archive else role_of(source.id, format.name, language, head)
    metadata = {
        **({"role": role} if role else {}),  # before what the document says of itself
        **parsed.metadata,
        "path": source.id,
        "extension": extension_of(source.id),
        "format": parsed.format or format.name,
    }
    return Document(parsed.id or source.id, parsed.text, parsed.title, metadata)


def _named(name: str, problem: str) -> str:
    """A problem with the file's name before it; one that begins with a colon has a line number."""
    return f"{name}{problem}" if problem.startswith(":") else f"{name}: {problem}"


def _bytes(source: SourceFile) -> bytes:
    name = one_line(source.id)
    try:
        # A pipe that took the file's place since it was found must not hold the reader up.
        with open_regular(source.path) as file:
            data = file.read()
    except FileNotFoundError:
        raise DocumentError(f"{name}: is gone since it was found") from None
    except OSError as error:
        raise DocumentError(f"{name}: cannot be read ({error.strerror or error})") from None
    if not data:
        raise DocumentError(f"{name}: is empty")
    return data
