"""JSON lines to documents, one a line; a broken line is named, and the others go in."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

from retrieval.documents.formats.format import RESERVED, Format, Parsed, Source, decoded
from retrieval.documents.formats.table import outline_of
from retrieval.errors import DocumentError

_ID_FIELDS = ("_id", "id")
_TEXT_FIELDS = ("text", "contents", "body", "content")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 64
_TOO_DEEP = f"nested too deeply; at most {_MAX_DEPTH} levels can be stored"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class _LineError(Exception):
    """What is wrong with a line, in words that follow `path:line: `."""


def _parse(data: bytes, source: Source) -> list[Parsed]:
    text, problems = decoded(data, source)
    documents, broken = parse(text, path=source.id)
    if not documents:
        raise DocumentError(_no_documents(broken))
    documents[0] = replace(documents[0], problems=(*problems, *broken))
    return documents


def parse(text: str, *, path: str) -> tuple[list[Parsed], list[str]]:
    """The documents of a JSONL file, and one problem for each line that is none.

    A line's `_id` (or `id`) is the document's id, a number becoming a string; without one it is
    `path#L<line>`. `text` (or `contents`, `body`, `content`) is its text; if that is empty the
    title takes its place, so that it can be found. All other fields are metadata, those of an
    object `metadata` with them; `line` says where the document was found. A field of its own that
    goes by one of the reader's names, or is an `id` beside `_id`, is kept in `original`.

    Args:
        text: the file's text.
        path: the file's id, for ids of lines without one.
    """
    documents: list[Parsed] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = _document(_object(line), path, number)
            id = document.id or ""
            if id in first_line:
                raise _LineError(
                    f"id {id!r} stands on line {first_line[id]} already; "
                    "left out, give it an id of its own"
                )
        except _LineError as broken:
            problems.append(f":{number}: {broken}")
        else:
            first_line[id] = number
            documents.append(document)
    return documents, problems


def _no_documents(broken: list[str]) -> str:
    if not broken:
        return "holds no line with a document; one JSON object a line was expected"
    more = f" (and {len(broken) - 1} more like it)" if len(broken) > 1 else ""
    return f"{broken[0]}{more}; no line of the file is a document"


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line, parse_float=_finite, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise _LineError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise _LineError(_TOO_DEEP) from None
    except ValueError as error:
        raise _LineError(f"not JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise _LineError(f"a JSON {_kind(value)}; an object with a text was expected")
    if line.count("[") + line.count("{") > _MAX_DEPTH:
        _check_depth(value, _MAX_DEPTH)
    fields: dict[str, Any] = _storable(value) if _SURROGATE_ESCAPE.search(line) else value
    return fields


def _document(fields: dict[str, Any], path: str, line: int) -> Parsed:
    id = _id(fields) or f"{path}#L{line}"
    text = _text(fields)
    title = fields.pop("title", None)
    if title is None:
        title = ""
    elif not isinstance(title, str):
        raise _LineError(f"its title is a {_kind(title)}; a string was expected")
    nested = fields.get("metadata")
    if isinstance(nested, dict):
        del fields["metadata"]
        fields = {**nested, **fields}
    taken = [name for name in (*RESERVED, "line", *_ID_FIELDS, "title") if name in fields]
    original = {name: fields.pop(name) for name in taken}
    metadata = {**fields, "line": line}
    if original:
        metadata["original"] = original
    return Parsed(text or title, title, metadata, outline_of(text, metadata), id)


def _id(fields: dict[str, Any]) -> str:
    """The line's own id, taken out of its fields, or "" if it has none."""
    name = next((name for name in _ID_FIELDS if fields.get(name) is not None), None)
    if name is None:
        return ""
    value = fields.pop(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _LineError(f"its {name} is a {_kind(value)}; a string or a number was expected")
    if value == "":
        raise _LineError(f"its {name} is empty; give it one, or leave the field out")
    return str(value)


def _text(fields: dict[str, Any]) -> str:
    name = next((name for name in _TEXT_FIELDS if fields.get(name) is not None), None)
    if name is None:
        raise _LineError(f"no text; one of the fields {', '.join(_TEXT_FIELDS)} was expected")
    value = fields.pop(name)
    if not isinstance(value, str):
        raise _LineError(f"its {name} is a {_kind(value)}; a string was expected")
    return value


def _finite(number: str) -> float | None:
    """NaN and the infinities, which JSON does not know, become null."""
    value = float(number)
    return value if math.isfinite(value) else None


def _check_depth(value: Any, left: int) -> None:
    if left < 0:
        raise _LineError(_TOO_DEEP)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_depth(item, left - 1)


def _storable(value: Any) -> Any:
    """The value with U+FFFD for surrogates that stand alone, which no UTF-8 can hold."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), "null")


FORMATS = (Format("jsonl", 2, _parse, (".jsonl", ".ndjson")),)
