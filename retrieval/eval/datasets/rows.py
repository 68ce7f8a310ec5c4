"""Rows of a file: JSON lines, plain or gzipped, a JSON list, parquet; errors name the line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from retrieval.documents.decoding import decode
from retrieval.errors import InputError, MissingDependency
from retrieval.eval.plural import plural
from retrieval.files.stored_json import parsed

Row = Mapping[str, Any]

MisfitLines = dict[Path, int]
"""By file, how many of its lines are not UTF-8."""

# A byte that does not fit UTF-8, as surrogateescape holds it.
_MISFIT = re.compile("[\udc80-\udcff]")


def lines(
    path: Path, expected: str = "a text file in UTF-8", misfits: MisfitLines | None = None
) -> Iterator[str]:
    """The lines of a text file, unzipped if its name ends in `.gz`, without their ends.

    UTF-8's byte order mark is no part of the first line.

    Args:
        misfits: if given, what does not fit UTF-8 is read as Windows-1252, as in documents that
            are indexed, and such lines are counted here.

    Raises:
        InputError: it cannot be read, is damaged, or is not UTF-8.
    """
    errors = "strict" if misfits is None else "surrogateescape"
    opened: Callable[..., TextIO] = gzip.open if path.suffix == ".gz" else open
    count = 0
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors=errors) as text:
            for line in text:
                if misfits is not None and _MISFIT.search(line):
                    line = _guess(line, path, expected)
                    count += 1
                    misfits[path] = max(count, misfits.get(path, 0))
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as wrong:
        raise InputError(
            f"{path} is not UTF-8 ({wrong}); expected {expected}: convert it, as by iconv"
        ) from None
    except (OSError, EOFError, zlib.error) as wrong:
        reason = getattr(wrong, "strerror", None) or wrong
        raise InputError(f"{path} cannot be read ({reason}); expected {expected}") from None


def encoding_warnings(misfits: MisfitLines) -> Iterator[str]:
    """A warning for each file that is not UTF-8."""
    for path, count in sorted(misfits.items()):
        what = plural(count, "line that is", "lines that are")
        yield (
            f"{path.name} has {what} not UTF-8; what does not fit was read as Windows-1252 "
            "(convert the file if that is wrong)"
        )


def rows(path: Path) -> Iterator[Row]:
    """The objects of a `.jsonl`, `.jsonl.gz`, `.json` (a list) or `.parquet` file.

    Raises:
        InputError: the file or a line cannot be read; both are named.
        MissingDependency: parquet without pyarrow.
    """
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix == ".json":
        yield from _json(path)
    else:
        for number, line in enumerate(lines(path), start=1):
            if not line.strip():
                continue
            try:
                row = parsed(line)
            except ValueError as wrong:
                raise InputError(f"{path}:{number}: {wrong}; expected a JSON object") from None
            yield _object(row, path, number)


def first_row(path: Path) -> Row:
    """The first row of a file, or nothing if it has none; raises as `rows` does."""
    return next(islice(rows(path), 1), {})


def field(row: Row, *names: str, path: Path) -> str:
    """The first of these fields that the row has, as text.

    Raises:
        InputError: it has none of them, or the first holds neither text nor a number; the file and
            the fields that it has are named.
    """
    for name in names:
        if row.get(name) is not None:
            return _text(row[name], name, path)
    there = ", ".join(f"{name!r}{' (null)' if row[name] is None else ''}" for name in row)
    raise InputError(f"{path}: a row has {there or 'no fields'}; expected {names[0]!r}")


def text_of(row: Row, path: Path) -> str:
    """The text of a document or query, which may be blank; Anserini calls it `contents`.

    Raises:
        InputError: it is neither text nor a number.
    """
    return optional(row, "text", path) or optional(row, "contents", path)


def optional(row: Row, name: str, path: Path) -> str:
    """A field as text, "" where it is not there or null; raises as `text_of` does."""
    value = row.get(name)
    return "" if value is None else _text(value, name, path)


def _text(value: object, name: str, path: Path) -> str:
    if isinstance(value, str):
        return value
    # A number is an id in many files; NaN is what pandas writes where a text is missing.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        shown = " ".join(repr(value).split())[:40]
        raise InputError(f"{path}: a row has {shown} as {name!r}; expected a text")
    return str(value)


def whole(value: object) -> int:
    """A grade as a whole number: `1`, `1.0` and `"1.0"` are 1.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(str(value))
        if number == int(number):
            return int(number)
    except OverflowError:
        pass
    raise ValueError(f"{value!r} is not a whole number")


def grade(value: object, path: Path) -> int:
    """A grade as a whole number.

    Raises:
        InputError: it is none; the file is named.
    """
    try:
        return whole(value)
    except ValueError:
        raise InputError(f"{path}: grade {value!r}; expected a whole number") from None


def _guess(line: str, path: Path, expected: str) -> str:
    """A line with escaped bytes, read as the text of a document is."""
    data = line.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise InputError(
            f"{path} is not text, or is UTF-16; expected {expected}: convert it, as by iconv"
        )
    return decode(data)[0]


def _json(path: Path) -> Iterator[Row]:
    try:
        found = parsed("\n".join(lines(path)))
    except ValueError as wrong:
        raise InputError(f"{path}: {wrong}; expected a JSON list of objects") from None
    if not isinstance(found, list):
        raise InputError(f"{path} holds a {type(found).__name__}; expected a JSON list of objects")
    for number, row in enumerate(found, start=1):
        yield _object(row, path, number)


def _object(row: object, path: Path, number: int) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{path}:{number}: {type(row).__name__}; expected a JSON object")
    return row


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingDependency(
            f"{path} is parquet, which needs pyarrow: pip install pyarrow, or give .jsonl files"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as wrong:
        raise InputError(f"{path} cannot be read ({wrong}); expected parquet") from None
