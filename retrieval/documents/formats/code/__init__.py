"""Source code: its definitions by the language's grammar, or else its blocks by their layout.

languages  one small module for each language that has a grammar
grammar    what such a module says, and parsing by it within limits
structure  what was found in the syntax tree, as an outline
heading    a file's title: the first sentence of what its author says of it
sniffing   whether a text without a name is source code
layout     blocks by blank lines and indentation, in any language
"""

from __future__ import annotations

from typing import Any

from retrieval.documents.formats.code.grammar import Found, find
from retrieval.documents.formats.code.heading import title_of
from retrieval.documents.formats.code.languages import grammar_of
from retrieval.documents.formats.code.layout import by_layout
from retrieval.documents.formats.code.sniffing import language_of_text
from retrieval.documents.formats.code.structure import imports_of, outline_by
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.languages import (
    NAMES,
    SUFFIXES,
    language_of,
    language_of_shebang,
)
from retrieval.documents.outline import Outline


def outline(text: str, language: str) -> Outline:
    """The structure of source code in this language."""
    found = _find(text, language)
    return (found and outline_by(text, found, language)) or by_layout(text)


def outline_of_text(text: str) -> Outline | None:
    """The structure of a text that is source code in some language; None for any other."""
    if (told := language_of_text(text)) is None:
        return None
    return outline_by(text, told[1], told[0])


def _find(text: str, language: str) -> Found | None:
    grammar = grammar_of(language)
    if grammar is None:
        return None
    others = filter(None, map(grammar_of, grammar.otherwise))
    return find(text, [grammar, *others])


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    language = language_of(source.id) or language_of_shebang(data)
    found = _find(text, language)
    structure = outline_by(text, found, language) if found else None
    if found is None or structure is None:
        return Parsed(text, "", {"language": language}, by_layout(text), problems=problems)
    metadata: dict[str, Any] = {"language": language}
    if imports := imports_of(text, found):
        metadata["imports"] = imports
    return Parsed(text, title_of(text, found), metadata, structure, problems=problems)


FORMATS = (
    Format(
        "code",
        2,
        _parse,
        SUFFIXES,
        NAMES,
        sniff=lambda head: bool(language_of_shebang(head)),
    ),
)
