"""Files of any size with one document per row, read in any part: Parquet and JSON lines."""

from __future__ import annotations

import codecs
import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from retrieval.documents import ReadOptions, reader_of
from retrieval.documents.decoding import HEAD_BYTES, decode
from retrieval.documents.formats import Parsed, formats
from retrieval.documents.formats.jsonl import parse_line
from retrieval.documents.formats.languages import extension_of
from retrieval.documents.formats.records import RecordError, document, finite, storable
from retrieval.documents.roles import VERSION as ROLES_VERSION
from retrieval.documents.roles import Role, role_of
from retrieval.errors import MissingDependency
from retrieval.sharded.sources.lines import BLOCK, LONGEST, lines
from retrieval.sharded.spool import Incoming
from retrieval.types import Document

if TYPE_CHECKING:
    import pyarrow

PARQUET = ".parquet"
LINES = (".jsonl", ".ndjson")

_PARQUET_VERSION = 2
"""Raised whenever the same rows give different documents."""
_ROWS = 512
_BUFFER = 1 << 20
"""Bytes of a column read at a time."""

_LOOKED_AT = 100
"""Lines at the beginning of a file that are checked for being records."""

Tell = Callable[[str], object]
"""Called with one line for each row that is not a document."""


def is_table(name: str) -> bool:
    """Whether a file of this name is Parquet, which is not among the formats of local files."""
    return name.lower().endswith(PARQUET)


def is_lines(name: str) -> bool:
    """Whether a file of this name is uncompressed JSON lines."""
    return name.lower().endswith(LINES)


def rows(
    file: Path | BinaryIO,
    id: str,
    options: ReadOptions,
    tell: Tell,
    groups: Sequence[int] | None = None,
    before: int = 0,
) -> Iterator[Incoming]:
    """The documents of a Parquet file, one after another.

    Rows become documents in the same way as JSON lines: see docs/documents.md. Columns of
    bytes and of vectors are left out.

    Args:
        file: its path, or the open file.
        id: the file's id, for ids of rows without one.
        options: how it is read.
        tell: called for rows that are not documents.
        groups: numbers of the row groups to read; None is all.
        before: number of rows before those.

    Raises:
        MissingDependency: pyarrow is not installed.
    """
    parquet = _pyarrow()
    import pyarrow

    reader = f"parquet {_PARQUET_VERSION} roles={ROLES_VERSION} text_field={options.text_field}"
    role = role_of(id, "jsonl", "", b"")
    number = before
    try:
        with parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as opened:
            names = [field.name for field in opened.schema_arrow if _is_kept(field.type)]
            # One group after another, so that only a part of one is in memory.
            for group in range(opened.num_row_groups) if groups is None else groups:
                for batch in opened.iter_batches(_ROWS, row_groups=[group], columns=names):
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
                            yield _incoming(made, id, "parquet", role, reader)
    except (pyarrow.ArrowException, OSError) as error:
        line = " ".join(str(error).split())
        tell(f"{id}: not readable as Parquet ({line:.200})")


def row_groups(file: BinaryIO) -> list[tuple[int, int]]:
    """Rows and stored bytes of each row group of a Parquet file; empty if it is not Parquet.

    Raises:
        MissingDependency: pyarrow is not installed.
    """
    parquet = _pyarrow()
    import pyarrow

    try:
        told = parquet.ParquetFile(file, pre_buffer=False).metadata
    except (pyarrow.ArrowException, OSError):
        return []
    found = []
    for number in range(told.num_row_groups):
        group = told.row_group(number)
        stored = sum(group.column(at).total_compressed_size for at in range(group.num_columns))
        found.append((group.num_rows, stored))
    return found


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency(
            "reading Parquet needs pyarrow; install it with `pip install pyarrow`"
        ) from error
    return parquet


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
    """Convert an Arrow value for JSON."""
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


def has_a_record_a_line(file: BinaryIO, options: ReadOptions) -> bool:
    r"""Whether a file of JSON lines can be read from any line on: whether most of its first lines
    are single records, and the encoding is one in which `\n` ends lines."""
    seen = good = 0
    for line in islice(lines(file, 0, BLOCK), _LOOKED_AT):
        text = line is not None and line.strip()
        if not text:
            continue
        if b"\0" in text or (not seen and text.startswith(b"[")):
            return False
        seen += 1
        with suppress(RecordError):
            parse_line(_decoded(text, seen, options)[0], 1, path="", text_field=options.text_field)
            good += 1
    return 2 * good > seen


def records(
    file: BinaryIO, id: str, options: ReadOptions, tell: Tell, start: int, stop: int, before: int
) -> Iterator[Incoming]:
    """The documents of the lines that begin in a range of a file of JSON lines.

    Args:
        file: a file with one record per line.
        id: the file's id, for ids of records without one.
        options: how it is read.
        tell: called for lines that are not documents.
        start: where the range begins.
        stop: where it ends.
        before: number of lines that begin before that.
    """
    reader = reader_of(formats()["jsonl"], options)
    file.seek(0)
    role = role_of(id, "jsonl", "", file.read(HEAD_BYTES))
    noted = False
    for number, line in enumerate(lines(file, start, stop), start=before + 1):
        if line is None:
            tell(f"{id}:{number}: longer than {LONGEST:,} bytes; left out")
            continue
        text, note = _decoded(line, number, options)
        if note and not noted:  # once per part, as every line may have one
            tell(f"{id}:{number}: {note}")
            noted = True
        if not text.strip():
            continue
        try:
            made = parse_line(text, number, path=id, text_field=options.text_field)
        except RecordError as broken:
            tell(f"{id}:{number}: {broken}")
        else:
            yield _incoming(made, id, "jsonl", role, reader)


def _decoded(line: bytes, number: int, options: ReadOptions) -> tuple[str, str]:
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    return decode(line, encoding=options.encoding)


def _incoming(parsed: Parsed, id: str, format: str, role: Role, reader: str) -> Incoming:
    metadata = {
        **({"role": role} if role else {}),
        **parsed.metadata,
        "path": id,
        "extension": extension_of(id),
        "format": format,
    }
    made = Document(parsed.id or id, parsed.text, parsed.title, metadata)
    return Incoming(made, parsed.outline, reader, id)
