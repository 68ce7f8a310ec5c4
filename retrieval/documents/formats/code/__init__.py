"""Source code: its definitions by the language's grammar, or else its blocks by their layout.

languages  one small module for each language that has a grammar
grammar    what such a module says, and parsing by it within limits
blanks     what a grammar cannot follow, made into what it can
reader     how a parser gets the source
risk       whether a text may be parsed in this process, in a worker process, or not at all
structure  what was found in the syntax tree, as an outline
heading    a file's title: the first sentence of what its author says of it
sniffing   whether a text without a name is source code
embedded   scripts and styles in components of web pages
layout     blocks by blank lines and indentation, in any language
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from retrieval.documents import workers
from retrieval.documents.formats.code import embedded
from retrieval.documents.formats.code.grammar import find
from retrieval.documents.formats.code.heading import title_of
from retrieval.documents.formats.code.languages import grammar_of
from retrieval.documents.formats.code.layout import by_layout
from retrieval.documents.formats.code.risk import risk_of
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
from retrieval.errors import DocumentError


def outline(text: str, language: str) -> Outline:
    """The structure of source code in this language."""
    return read_as(text, language).outline


def outline_of_text(text: str) -> Outline | None:
    """The structure of a text that is source code in some language; None for any other."""
    if (told := language_of_text(text)) is None:
        return None
    return outline_by(text, told[1], told[0])


def read_as(text: str, language: str) -> Parsed:
    """Source code in this language: its title, imports and structure.

    A text that may end or hang a grammar is parsed in a worker process. What no grammar can follow,
    and what ended the worker, is cut by its layout.
    """
    if language in embedded.LANGUAGES:
        return embedded.read_component(text, language, read_as)
    if grammar_of(language) is None:
        return _by_layout(text, language)
    source = text.encode("utf-8", "surrogatepass")
    risk = risk_of(source)
    if risk == "too much":
        return replace(_by_layout(text, language), by_layout=True)
    if risk == "none" or workers.is_worker():
        return _by_grammar(text, language)
    try:
        (found,) = workers.parse(parse_in_worker, source, Source(language))
    except DocumentError as error:
        problems = (f"{error}; cut by its layout",)
        return replace(_by_layout(text, language), problems=problems, by_layout=True)
    return found


def parse_in_worker(data: bytes, source: Source) -> Parsed:
    """A text in UTF-8, by the grammar of the language that `source.id` names."""
    return _by_grammar(data.decode("utf-8", "surrogatepass"), source.id)


def _by_grammar(text: str, language: str) -> Parsed:
    grammar = grammar_of(language)
    assert grammar is not None
    found = find(text, [grammar, *filter(None, map(grammar_of, grammar.otherwise))])
    structure = outline_by(text, found, language) if found else None
    if found is None or structure is None:
        return replace(_by_layout(text, language), by_layout=True)
    metadata: dict[str, Any] = {"language": language}
    if imports := imports_of(text, found):
        metadata["imports"] = imports
    return Parsed(text, title_of(text, found), metadata, structure)


def _by_layout(text: str, language: str) -> Parsed:
    return Parsed(text, "", {"language": language}, by_layout(text))


def _parse(data: bytes, source: Source) -> Parsed:
    text, problems = decoded(data, source)
    made = read_as(text, language_of(source.id) or language_of_shebang(data))
    return replace(made, problems=(*problems, *made.problems))


FORMATS = (
    Format(
        "code",
        9,
        _parse,
        SUFFIXES,
        NAMES,
        sniff=lambda head: bool(language_of_shebang(head)),
    ),
)
