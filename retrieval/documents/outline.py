"""A document's structure: its sections and blocks, where things stand, and where it may be cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

BlockKind = Literal["paragraph", "list", "table", "code", "definition"]

MAX_LEVEL = 100
"""No heading is taken for deeper."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, up to the next heading of any level.

    Attributes:
        heading: its words, without markup; "" for what stands before the first heading.
        level: 1 for the outermost; 0 for what stands before the first heading.
        start: first character of the heading.
        body: one past the heading's last character.
        end: where the next section starts, or the text ends.
    """

    heading: str
    level: int
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of text of one kind; a definition may hold others.

    Attributes:
        kind: what it is.
        start: its first character; of a definition, that of its decorators and of the comment
            right above it.
        end: one past its last character.
        lead: what is to be read with every part of it: a table's caption and header row, the
            sentence that introduces a list; "" for nothing.
        language: of code and definitions, in the words of `formats.languages`.
        name: qualified name of a definition, such as `Engine.load`.
        signature: of a definition, as it is written, without its body, on one line.
        doc: (start, end) of a definition's docstring or of the comment above it, or None.
        lead_start: where `lead` begins in the text, if it stands before the block.
        head: where a definition's signature begins, after decorators and the comment above; None
            for its start.
    """

    kind: BlockKind
    start: int
    end: int
    lead: str = ""
    language: str = ""
    name: str = ""
    signature: str = ""
    doc: tuple[int, int] | None = None
    lead_start: int | None = None
    head: int | None = None


Unit: TypeAlias = Literal["page", "cell", "row", "time", "part"]
"""A field of `retrieval.types.Place`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """From `start` on, up to the next mark of its unit, the text stands at this place.

    Attributes:
        start: a character offset.
        unit: of the place.
        value: the number of the page, cell or row; the time; the part's name.
    """

    start: int
    unit: Unit
    value: int | str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch that stands for itself, up to the next part: passages are cut there first.

    Attributes:
        start: its first character.
        level: 1 for the outermost; a part joins a tiny one before it only if it is not above it.
        joins: False for one that never joins what stands before it: a slide, a sheet.
    """

    start: int
    level: int
    joins: bool = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's structure, in characters of its text. All sequences are in order of `start`.

    Attributes:
        sections: one for each heading, and one for what stands before the first, if there is any.
        blocks: tables, lists, code, definitions and what else a format tells apart; paragraphs
            need not be named. A definition comes before those that it holds.
        marks: pages, cells, rows, times.
        parts: where passages are cut wherever the parts are not tiny; the first starts at 0.
        breaks: offsets to cut a long part at, ascending, the best kind first: between blocks,
            between list items, between rows or lines. Paragraphs, sentences, lines and words need
            not be named.
        sentences: whether sentences end at full stops.
    """

    sections: Sequence[Section] = ()
    blocks: Sequence[Block] = ()
    marks: Sequence[Mark] = ()
    parts: Sequence[Part] = (Part(0, 0),)
    breaks: Sequence[Sequence[int]] = ()
    sentences: bool = True


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading as a format finds it: its span in the text, its level from 1, and its words."""

    start: int
    end: int
    level: int
    words: str


def sections_of(text: str, headings: Sequence[Heading]) -> list[Section]:
    """The sections that headings, in order, make of a text."""
    sections = []
    if headings and text[: headings[0].start].strip():
        sections.append(Section("", 0, 0, 0, headings[0].start))
    for at, heading in enumerate(headings):
        end = headings[at + 1].start if at + 1 < len(headings) else len(text)
        level = min(heading.level, MAX_LEVEL)
        sections.append(Section(heading.words, level, heading.start, heading.end, end))
    return sections


def parts_of(text: str, sections: Sequence[Section]) -> list[Part]:
    """The parts of a text with sections; a heading that a deeper one follows at once joins that."""
    parts = [Part(0, 0)]
    waiting: Part | None = None
    for section in sections:
        if section.level == 0:
            continue
        begun = waiting if waiting and waiting.level < section.level else None
        if begun is None:
            begun = Part(section.start, section.level)
            parts.append(begun)
        waiting = begun if not text[section.body : section.end].strip() else None
    if len(parts) > 1 and not text[: parts[1].start].strip():
        parts[:2] = [Part(0, parts[1].level)]
    return parts


def shifted(block: Block, by: int) -> Block:
    """A block of a text that stands so many characters into another."""
    doc = (block.doc[0] + by, block.doc[1] + by) if block.doc else None
    lead_start = None if block.lead_start is None else block.lead_start + by
    head = None if block.head is None else block.head + by
    return replace(
        block,
        start=block.start + by,
        end=block.end + by,
        doc=doc,
        lead_start=lead_start,
        head=head,
    )


LEAD_CHARACTERS = 200
"""More of a sentence than this introduces nothing."""

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


_CAPTION = re.compile(r"(?:fig(?:ure)?|listing|tab(?:le)?|tabelle|tableau|tabla)\.?\s+\w+\b", re.I)


def lead_in(paragraph: str) -> str:
    """What a paragraph says of what follows it, or "".

    That is its last sentence, if it ends with a colon, or all of a caption (`Table 2. Pumps`).
    """
    if _CAPTION.match(paragraph) and len(paragraph) <= LEAD_CHARACTERS:
        return paragraph
    if not paragraph.endswith((":", "：")):
        return ""
    sentence = _SENTENCE_END.split(paragraph)[-1]
    return sentence if len(sentence) <= LEAD_CHARACTERS else ""
