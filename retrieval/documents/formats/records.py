"""A JSON object as a document: which of its fields is the id, the text, the title."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from retrieval.documents.formats.format import RESERVED, Parsed
from retrieval.documents.formats.spoken import spoken
from retrieval.documents.formats.table import outline_of

TEXT_FIELDS = (
    "text",
    "contents",
    "body",
    "content",
    "page_content",
    "passage",
    "passage_text",
    "document",
    "chunk",
    "chunk_text",
    "paragraph",
    "abstract",
)
"""What the text of a record goes by in BEIR, Anserini, LangChain, LlamaIndex and others."""

LESSER_TEXT_FIELDS = ("sentence", "description")
"""What it goes by in a record that has none of these. They do not make an object a record: what
describes settings, packages and schemas is a `description`, too."""

MAX_DEPTH = 64
TOO_DEEP = f"nested too deeply; at most {MAX_DEPTH} levels can be stored"

_ID_FIELDS = ("_id", "id")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class RecordError(Exception):
    """What is wrong with a record, in words that follow `path:line: `."""


def has_text(value: Any, text_field: str | None = None) -> bool:
    """Whether a JSON value is an object with a text, so that it is a record."""
    if not isinstance(value, dict):
        return False
    if text_field is not None:
        return isinstance(_at(value, text_field)[1], str)
    return any(isinstance(value.get(name), str) for name in TEXT_FIELDS)


def document(
    fields: dict[str, Any], id: str | None, place: dict[str, Any], text_field: str | None = None
) -> Parsed:
    """The document that an object is.

    Args:
        fields: the object; it is taken apart.
        id: of one that has none.
        place: metadata that say where it stands.
        text_field: the field of its text, dots reaching into objects; None is the first of the
            usual ones that is a string, or of the lesser ones where there is none, or else
            what the object says in all of its fields, see `spoken`.

    Raises:
        RecordError: it has no text, or a field that cannot be used.
    """
    own = _id(fields)
    text = _text(fields, text_field)
    title = fields.pop("title", None)
    if title is None:
        title = ""
    elif not isinstance(title, str):
        raise RecordError(f"its title is a {kind(title)}; a string was expected")
    nested = fields.get("metadata")
    if isinstance(nested, dict):
        del fields["metadata"]
        fields = {**nested, **fields}
    taken = [name for name in (*RESERVED, *place, *_ID_FIELDS, "title") if name in fields]
    original = {name: fields.pop(name) for name in taken}
    metadata = {**fields, **place}
    if original:
        metadata["original"] = original
    return Parsed(text or title, title, metadata, outline_of(text, metadata), own or id)


def storable(value: Any) -> Any:
    """The value with U+FFFD for surrogates that stand alone, which no UTF-8 can hold."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(name): storable(item) for name, item in value.items()}
    return value


def check_depth(value: Any, left: int = MAX_DEPTH) -> None:
    """Refuse what is nested too deeply to be stored.

    Raises:
        RecordError: it is.
    """
    if left < 0:
        raise RecordError(TOO_DEEP)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            check_depth(item, left - 1)


def finite(number: str) -> float | None:
    """NaN and the infinities, which JSON does not know, become null."""
    value = float(number)
    return value if math.isfinite(value) else None


def kind(value: Any) -> str:
    """What JSON calls a value."""
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), "null")


def _id(fields: dict[str, Any]) -> str:
    """The record's own id, taken out of its fields, or "" if it has none."""
    name = next((name for name in _ID_FIELDS if fields.get(name) is not None), None)
    if name is None:
        return ""
    value = fields.pop(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecordError(f"its {name} is a {kind(value)}; a string or a number was expected")
    if value == "":
        raise RecordError(f"its {name} is empty; give it one, or leave the field out")
    return str(value)


def _text(fields: dict[str, Any], text_field: str | None) -> str:
    """The record's text, taken out of its fields."""
    usual: Sequence[Sequence[str]] = (TEXT_FIELDS, LESSER_TEXT_FIELDS)
    for names in usual if text_field is None else ((text_field,),):
        found = [(*_at(fields, name), name) for name in names]
        if there := [one for one in found if one[1] is not None]:
            break
    else:
        if text_field is not None:
            raise RecordError(f"no text; the field {text_field} was expected")
        kept: dict[str, Any] = {n: fields.pop(n) for n in ("title", "metadata") if n in fields}
        text = spoken(fields)
        fields |= kept
        if text:
            return text
        raise RecordError(
            f"no text; one of the fields {', '.join((*TEXT_FIELDS, *LESSER_TEXT_FIELDS))} was "
            "expected (--text-field names another)"
        )
    holder, value, name = next((one for one in there if isinstance(one[1], str)), there[0])
    if not isinstance(value, str):
        raise RecordError(f"its {name} is a {kind(value)}; a string was expected")
    holder.pop(name if name in holder else name.rpartition(".")[2])
    return value


def _at(fields: dict[str, Any], name: str) -> tuple[dict[str, Any], Any]:
    """The object that holds a field, and its value or None; dots reach into objects."""
    if name in fields:
        return fields, fields[name]
    holder = fields
    *outer, last = name.split(".")
    for part in outer:
        below = holder.get(part)
        if not isinstance(below, dict):
            return fields, None
        holder = below
    return holder, holder.get(last)
