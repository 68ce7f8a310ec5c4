"""Files of any size that hold a document a row, read a part at a time: Parquet and JSON lines."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.documents import ReadOptions, reader_of
from retrieval.documents.decoding import decode
from retrieval.documents.formats import Parsed, formats
from retrieval.documents.formats.jsonl import parse
from retrieval.documents.formats.languages import extension_of
from retrieval.documents.formats.records import RecordError, document, finite, storable
from retrieval.errors import DocumentError, MissingDependency
from retrieval.sharded.spool import Incoming
from retrieval.types import Document

if TYPE_CHECKING:
    import pyarrow

PARQUET = ".parquet"
LINES = (".jsonl", ".ndjson")

_PARQUET_VERSION = 1
"""Raised whenever the same rows give other documents."""
_ROWS = 512
_CHARACTERS = 1 << 24
"""Of JSON lines that are read at a time, as bytes."""

Tell = Callable[[str], object]
"""Told of each row that is no document, in a line."""


def is_table(name: str) -> bool:
    """Whether a file of this name is Parquet, which no format of a folder's files reads."""
    return name.lower().endswith(PARQUET)


def holds_records(name: str) -> bool:
    """Whether a file of this name is read here."""
    return name.lower().endswith((PARQUET, *LINES))


def records(path: Path, id: str, options: ReadOptions, tell: Tell) -> Iterator[Incoming]:
    """The documents of a file, one after another.

    A record's fields become a document as those of JSON lines do: see docs/documents.md. Columns
    of bytes and of vectors are left out.

    Args:
        path: where it lies.
        id: it by name, for ids of records without one.
        options: how it is read.
        tell: told of what is no document.

    Raises:
        MissingDependency: it is Parquet, and pyarrow is not installed.
    """
    try:
        if is_table(path.name):
            yield from _rows(path, id, options, tell)
        else:
            yield from _lines(path, id, options, tell)
    except DocumentError as error:
        tell(f"{id}: {error}")


def _rows(path: Path, id: str, options: ReadOptions, tell: Tell) -> Iterator[Incoming]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingDependency(
            "reading Parquet needs pyarrow; install it with `pip install pyarrow`"
        ) from error
    reader = f"parquet {_PARQUET_VERSION} text_field={options.text_field}"
    number = 0
    try:
        with ParquetFile(path) as file:
            names = [field.name for field in file.schema_arrow if _is_kept(field.type)]
            for batch in file.iter_batches(batch_size=_ROWS, columns=names):
                for fields in batch.to_pylist():
                    number += 1
                    try:
                        made = document(
                            storable(_plain(fields)),
                            f"{id}#{number}",
                            {"row": number},
                            options.text_field,
                        )
                    except RecordError as broken:
                        tell(f"{id}#{number}: {broken}")
                    else:
                        yield _incoming(made, id, "parquet", reader)
    except (pyarrow.ArrowException, OSError) as error:
        line = " ".join(str(error).split())
        raise DocumentError(f"not Parquet that can be read ({line:.200})") from error


def _is_kept(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return False
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
        if types.is_floating(kind):
            return False
    return True


def _plain(value: Any) -> Any:
    """A value of Arrow as JSON has it."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return finite(str(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return None
    if isinstance(value, datetime.timedelta | uuid.UUID):
        return str(value)
    return value


def _lines(path: Path, id: str, options: ReadOptions, tell: Tell) -> Iterator[Incoming]:
    reader = reader_of(formats()["jsonl"], options)
    before = 0
    with path.open("rb") as file:
        while data := file.read(_CHARACTERS):
            data += file.readline()
            text, note = decode(data, encoding=options.encoding)
            if note:
                tell(f"{id}: {note}")
            found, problems = parse(
                text, path=id, text_field=options.text_field, lines_before=before
            )
            for problem in problems:
                tell(f"{id}{problem}")
            for one in found:
                yield _incoming(one, id, "jsonl", reader)
            before += data.count(b"\n")


def _incoming(parsed: Parsed, id: str, format: str, reader: str) -> Incoming:
    metadata = {**parsed.metadata, "path": id, "extension": extension_of(id), "format": format}
    made = Document(parsed.id or id, parsed.text, parsed.title, metadata)
    return Incoming(made, parsed.outline, reader, id)
