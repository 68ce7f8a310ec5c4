"""Message catalogues of gettext: each message with its translation is a block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retrieval.documents.charsets import codec_of_label
from retrieval.documents.formats.builder import OutlineBuilder, lines_of
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.outline import Block, Outline

_MESSAGE = re.compile(r"(?:#~\s*)?msgid[ \t]")
_HEADER = re.compile(
    r'(?m:^msgid "")\r?\n(?m:^msgstr(?:\[0\])? )((?:"(?:[^"\\\n]|\\.)*"\s*){1,200})'
)
_FIELD = re.compile(r"(?m:^)\"([A-Za-z-]{1,40}):[ \t]*((?:[^\"\\\n]|\\[^n\n]){0,300})")
_CHARSET = re.compile(rb'"Content-Type:[^"\n]{0,100}charset=([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)
_HEAD_BYTES = 8192
_UNFILLED = frozenset({"PACKAGE VERSION", "LANGUAGE", "FULL NAME <EMAIL@ADDRESS>"})
"""What a catalogue says that nobody has filled in yet."""
_KEYS = {"Language": "locale", "Project-Id-Version": "project"}


def _outline(text: str) -> Outline:
    """A block for each message, with the comments above it."""
    builder = OutlineBuilder(text)
    begun, last, is_message = -1, 0, False
    for start, end in [*lines_of(text), (len(text), len(text))]:
        line = text[start:end].strip()
        if not line:
            if is_message:
                builder.tops.append(begun)
                builder.blocks.append(Block("paragraph", begun, last))
            begun, is_message = -1, False
            continue
        if is_message and (line.startswith("#") and not line.startswith("#~")):
            # No blank line stands between two messages.
            builder.tops.append(begun)
            builder.blocks.append(Block("paragraph", begun, last))
            begun, is_message = -1, False
        begun = start if begun < 0 else begun
        is_message = is_message or _MESSAGE.match(line) is not None
        last = end
    return builder.outline()


def _header(text: str) -> dict[str, str]:
    found = _HEADER.search(text[: 64 * 1024])
    fields = _FIELD.findall(found[1]) if found else []
    return {name: value.strip() for name, value in fields if value.strip() not in _UNFILLED}


def _metadata(text: str) -> Mapping[str, Any]:
    header = _header(text)
    return {key: header[name] for name, key in _KEYS.items() if header.get(name)}


def _parse(data: bytes, source: Source) -> Parsed:
    said = _CHARSET.search(data[:_HEAD_BYTES])
    label = said[1].decode("ascii") if said else ""
    if source.encoding is None and codec_of_label(label) is not None and not _is_utf8(data):
        source = replace(source, encoding=label)
    text, problems = decoded(data, source)
    title = _header(text).get("Project-Id-Version", "")
    return Parsed(text, title, _metadata(text), _outline(text), problems=problems)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


FORMATS = (Format("gettext", 1, _parse, (".po", ".pot"), outline=_outline),)
