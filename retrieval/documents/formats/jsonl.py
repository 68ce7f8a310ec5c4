"""JSON records to documents: one a line, each over several lines, or in one array; also packed.

A broken record is named, and the others go in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from retrieval.documents.decoding import HEAD_BYTES, NO_TEXT, is_binary
from retrieval.documents.formats import code
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.packed import unpacked
from retrieval.documents.formats.records import (
    MAX_DEPTH,
    TOO_DEEP,
    RecordError,
    check_depth,
    document,
    finite,
    has_text,
    kind,
    storable,
)
from retrieval.errors import DocumentError

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")

_CODE = code.FORMATS[0]
_WINDOW = 1 << 14
"""Characters that are read at first for a value; four times as many if it does not end there."""

_LONGEST_TOKEN = 32
"""No word or escape of JSON is longer."""

_DECODER = json.JSONDecoder(parse_float=finite, parse_constant=lambda _: None)


@dataclass(frozen=True, slots=True)
class _Found:
    """A JSON value of a file, or what is wrong with it.

    Attributes:
        line: that it begins on.
        value: the value.
        problem: what is wrong, or "".
    """

    line: int
    value: Any = None
    problem: str = ""


def parse(text: str, *, path: str, text_field: str | None = None) -> tuple[list[Parsed], list[str]]:
    """The documents of a file of records, and one problem for each record that is none.

    The records stand one a line, or over several lines each, or in an array. A record's `_id` (or
    `id`) is the document's id, a number becoming a string; without one it is `path#L<line>`, and
    in an array `path#<number>`. The text is the first of the usual fields (`records.TEXT_FIELDS`)
    that is a string, or of the lesser ones where there is none, or else what it says in all of its
    fields (`spoken`); if that is empty the title takes its place, so that it can be found. All
    other fields are metadata, those of an object `metadata` with them; `line` says where the record
    begins. A field of its own that goes by one of the reader's names, or is an `id` beside `_id`,
    is kept in `original`.

    Args:
        text: the file's text.
        path: the file's id, for ids of records without one.
        text_field: the field of the texts, dots reaching into objects; None is the usual ones.
    """
    start = _array_start(text)
    found = _lines(text) if start is None else _array(text, start)
    documents: list[Parsed] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, one in enumerate(found, start=1):
        own = f"{path}#L{one.line}" if start is None else f"{path}#{number}"
        try:
            made = _document(one, own, text_field)
            id = made.id or ""
            if id in first_line:
                raise RecordError(
                    f"id {id!r} stands on line {first_line[id]} already; "
                    "left out, give it an id of its own"
                )
        except RecordError as broken:
            problems.append(f":{one.line}: {broken}")
        else:
            first_line[id] = one.line
            documents.append(made)
    return documents, problems


def parse_line(line: str, number: int, *, path: str, text_field: str | None = None) -> Parsed:
    """The document of a record that has a line of its own, as `parse` makes it.

    Args:
        line: the record's text.
        number: the line's number in its file, from 1.
        path: the file's id.
        text_field: see `parse`.

    Raises:
        RecordError: it is none.
    """
    found, _ = _read(line, number)
    if found.problem and line.lstrip().startswith("{"):  # a comma may follow
        whole = _spread(line, 0, number)
        found = found if whole is None else whole[0]
    return _document(found, f"{path}#L{number}", text_field)


def _document(found: _Found, id: str, text_field: str | None) -> Parsed:
    if found.problem:
        raise RecordError(found.problem)
    if not isinstance(found.value, dict):
        raise RecordError(f"a JSON {kind(found.value)}; an object with a text was expected")
    return document(found.value, id, {"line": found.line}, text_field)


def _lines(text: str) -> Iterator[_Found]:
    """The values of a text that has one a line, or over several lines each."""
    at, number = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        stop = end = len(text) if end < 0 else end
        line = text[at:end]
        if line.strip():
            found, broken_at = _read(line, number)
            if found.problem and line.lstrip().startswith("{"):
                whole = _spread(text, at, number)
                if whole is not None:
                    found, stop = whole
                elif broken_at >= len(line.rstrip()):
                    # A record over several lines, in which something is wrong: to the next one.
                    stop = _next_like(text, _after_space(text, at), end)
            yield found
        number += text.count("\n", at, stop) + 1
        at = stop + 1


def _spread(text: str, at: int, number: int) -> tuple[_Found, int] | None:
    """The value that begins on the line at `at` and ends on a later one, and that line's end."""
    start = _after_space(text, at)
    found, end = _read_at(text, start, number)
    if end is None:
        return None
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    return None if text[end:line_end].strip(" \t\r,") else (found, line_end)


def _array_start(text: str) -> int | None:
    """Where the first object of an array of objects begins, if the text is one."""
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        return None
    at = _after_space(text, at + 1)
    return at if text[at : at + 1] == "{" else None


def _array(text: str, at: int) -> Iterator[_Found]:
    """The values of an array.

    Args:
        text: the whole text.
        at: where the first of them begins.
    """
    counted, line = 0, 1
    first = at
    while True:
        line, counted = line + text.count("\n", counted, at), at
        found, end = _read_at(text, at, line)
        if end is not None:
            yield found
            at = _after_space(text, end)
            if text[at : at + 1] == "]":
                return
            if text[at : at + 1] == ",":
                at = _after_space(text, at + 1)
                if text[at : at + 1] == "]":  # a comma too many does no harm
                    return
                continue
            line, counted = line + text.count("\n", counted, at), at
            ends = at >= len(text)
            what = "the file ends within its array" if ends else "not JSON: a comma was expected"
            found = _Found(line, problem=what)
            if text[at : at + 1] == "{":
                yield found
                continue
        yield found
        at = _next_like(text, first, at) + 1
        if at >= len(text):
            return
        at = _after_space(text, at)


def _next_like(text: str, first: int, after: int) -> int:
    """The end of the line before the next object that stands as far in as the first one does.

    Args:
        text: the whole text.
        first: where the first object begins.
        after: what comes next comes after this.
    """
    line = text.rfind("\n", 0, first) + 1
    indent = text[line:first]
    if indent.strip(" \t"):  # all on one line: nobody knows where the next one begins
        return len(text)
    found = text.find(f"\n{indent}{{", after)
    return len(text) if found < 0 else found


def _read(line: str, number: int) -> tuple[_Found, int]:
    """The value that is all of a line; and where it breaks, if it does."""
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return _Found(number, problem=f"not JSON: {error.msg} at column {error.colno}"), error.pos
    except RecursionError:
        return _Found(number, problem=TOO_DEEP), 0
    except ValueError as error:
        return _Found(number, problem=f"not JSON that can be read: {error}"), 0
    return _found(number, value, line), 0


def _read_at(text: str, at: int, number: int) -> tuple[_Found, int | None]:
    """The value that begins at a character, and its end; None if there is none."""
    size = _WINDOW
    while True:
        # An error counts the lines before it, which many errors in a long text would do too often.
        window = text[at : at + size]
        whole = at + size >= len(text)
        try:
            value, length = _DECODER.raw_decode(window)
        except json.JSONDecodeError as error:
            if whole or not _may_be_cut(error, window):
                return _Found(number, problem=_not_json(error, text, at, number)), None
        except RecursionError:
            return _Found(number, problem=TOO_DEEP), None
        except ValueError as error:
            return _Found(number, problem=f"not JSON that can be read: {error}"), None
        else:
            if whole or length + _LONGEST_TOKEN <= len(window):  # a number may go on
                return _found(number, value, window[:length]), at + length
        size *= 4


def _may_be_cut(error: json.JSONDecodeError, window: str) -> bool:
    """Whether what was read may be in order, and only the window too small."""
    return error.msg.startswith("Unterminated") or error.pos >= len(window) - _LONGEST_TOKEN


def _not_json(error: json.JSONDecodeError, text: str, at: int, number: int) -> str:
    """What is wrong and where, if the text from `at` on, in line `number`, was read."""
    pos = at + error.pos
    below = text.count("\n", at, pos)
    column = pos - text.rfind("\n", 0, pos)
    where = f"column {column}" + (f" of line {number + below}" if below else "")
    return f"not JSON: {error.msg} at {where}"


def _found(number: int, value: Any, source: str) -> _Found:
    if source.count("[") + source.count("{") > MAX_DEPTH:
        try:
            check_depth(value)
        except RecordError as error:
            return _Found(number, problem=str(error))
    return _Found(number, storable(value) if _SURROGATE_ESCAPE.search(source) else value)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _parse(data: bytes, source: Source) -> list[Parsed]:
    content, cut = unpacked(data)
    if is_binary(content[:HEAD_BYTES]):
        raise DocumentError(NO_TEXT)
    text, problems = decoded(content, source)
    documents, broken = parse(text, path=source.id, text_field=source.text_field)
    if not documents:
        raise DocumentError(_no_documents(broken))
    documents[0] = replace(documents[0], problems=(*problems, *cut, *broken))
    return documents


def _parse_json(data: bytes, source: Source) -> list[Parsed] | Parsed:
    """A file `.json`: records, if that is what stands in it, or else data."""
    text, problems = decoded(data, source)
    start = _array_start(text)
    at = _after_space(text, 0) if start is None else start
    if text[at : at + 1] == "{":
        found, end = _read_at(text, at, 1)
        if end is not None and has_text(found.value, source.text_field):
            alone = start is None and _after_space(text, end) == len(text)
            if alone and (source.text_field or _is_mostly_text(found.value, text)):
                try:
                    made = document(found.value, None, {}, source.text_field)
                    return replace(made, problems=problems)
                except RecordError:  # its id or title is another thing than a record's
                    pass
            elif not alone:
                documents, broken = parse(text, path=source.id, text_field=source.text_field)
                if documents:
                    documents[0] = replace(documents[0], problems=(*problems, *broken))
                    return documents
    parsed: Parsed = _CODE.parse(data, source)  # type: ignore[assignment]
    return parsed


def _is_mostly_text(value: dict[str, Any], text: str) -> bool:
    """Whether most of a file is the text of the one object in it."""
    longest = max(len(one) for one in value.values() if isinstance(one, str))
    return 2 * longest > len(text)


def _no_documents(broken: list[str]) -> str:
    if not broken:
        return "holds no record; JSON objects with a text were expected, one a line or in an array"
    more = f" (and {len(broken) - 1} more like it)" if len(broken) > 1 else ""
    return f"{broken[0]}{more}; no record of the file is a document"


FORMATS = (
    Format(
        "jsonl",
        6,
        _parse,
        (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
        binary=True,
    ),
    # JSON that is not a record is read as code, so a new version of that reads the files again.
    Format("json", 100 * _CODE.version + 2, _parse_json, (".json",)),
)
