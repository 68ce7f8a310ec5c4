"""A source file's title: the first sentence of what its author says of it at its top."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrieval.documents.formats.code.grammar import Found, Span

_MOST_CHARACTERS = 200
_FEWEST_WORDS = 3

_MARKS = re.compile(
    r"^[ \t]*(?:/\*+!?|\*+/|\*+|//+!?|#+!?|--+\[*|;+|\"\"\"|'''|\(\*+)?[ \t]*|[ \t]*\*+/[ \t]*$",
    re.MULTILINE,
)
"""What makes a line a comment."""
_INTERPRETER = re.compile(r"^#![^\n]*")
_CELLS = re.compile(r"^[ \t]*%%.*\n?|^#+[ \t]+(?=\S)", re.MULTILINE)
"""What begins a cell of a script that is a notebook, and its headings."""
_QUOTES = re.compile(r"^[a-zA-Z]{0,2}(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?:\s|$)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NOT_ABOUT_IT = re.compile(
    r"copyright|\(c\)|©|licen[sc]|spdx|all rights reserved|warranty|redistribut|permission is "
    r"|do not edit|generated (?:by|from|with)|auto-?generated|this file is part of"
    r"|-\*-|coding[:=]|vim?:|eslint|prettier|tslint|jshint|istanbul|pylint|flake8|noqa|mypy:"
    r"|@(?:file|author|version|since|license|flow|format|ts-)|\$(?:id|header|revision)",
    re.IGNORECASE,
)
"""What stands at the top of files of any content."""


def title_of(text: str, found: Found) -> str:
    """The first sentence of the file's docstring, or of the first comment above its code."""
    if found.about is not None:
        words = _QUOTES.sub("", text[slice(*found.about)].strip())
        return _sentence(words, ends=False)
    for start, end in _above_code(text, found):
        words = _INTERPRETER.sub("", text[start:end])
        if title := _sentence(_CELLS.sub("", _MARKS.sub("", words)), ends=True):
            return title
    return ""


def _above_code(text: str, found: Found) -> Iterator[Span]:
    """Comments before anything else; those on lines right below each other are one."""
    comments = set(found.comments)
    first = min((span[0] for span in found.statements if span not in comments), default=len(text))
    start = end = -1
    for comment in found.comments:
        if comment[0] > first:
            break
        between = text[end : comment[0]] if end >= 0 else ""
        if end >= 0 and not between.strip() and between.count("\n") <= 1:
            end = comment[1]
            continue
        if end >= 0:
            yield start, end
        start, end = comment
    if end >= 0:
        yield start, end


def _sentence(words: str, *, ends: bool) -> str:
    """The first sentence of the first paragraph on one line, or "" if it says nothing of a file.

    Args:
        words: without what marks them as a comment.
        ends: whether it must have an end to be one.
    """
    paragraph = " ".join(_BLANK_LINE.split(words.strip())[0].split())
    end = _SENTENCE_END.search(paragraph)
    sentence = paragraph[: end.start()] if end else paragraph
    if not end and (ends or len(sentence) > _MOST_CHARACTERS):
        return ""
    if len(sentence) > _MOST_CHARACTERS or len(_WORD.findall(sentence)) < _FEWEST_WORDS:
        return ""
    return "" if _NOT_ABOUT_IT.search(sentence) else sentence
