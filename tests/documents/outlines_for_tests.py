"""What holds for every outline, and what passages learn from one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from retrieval.documents import chunk
from retrieval.documents.context import Contexts
from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.format import Parsed
from retrieval.documents.outline import Outline
from retrieval.types import Document, Passage

from .tokenizers_for_tests import WORDS

FILL = "Take care to write every change down before the day is over, since others read it. "


def parsed(name: str, content: str | bytes) -> Parsed:
    """What the format of a file of this name makes of it; the outline is checked."""
    data = content.encode() if isinstance(content, str) else content
    made = format_of(name, data[:8192]).parse(data, Source(name))
    assert isinstance(made, Parsed)
    check(made.text, made.outline)
    return made


def check(text: str, outline: Outline) -> None:
    """Everything lies within the text and is in order."""
    for section, following in pairwise(outline.sections):
        assert section.end == following.start
    for section in outline.sections:
        assert 0 <= section.start <= section.body <= section.end <= len(text)
        assert (section.level == 0) == (section.heading == "")
        assert section.level or section is outline.sections[0]
        assert section.heading == " ".join(section.heading.split())
    if outline.sections:
        assert outline.sections[-1].end == len(text)
        assert not text[: outline.sections[0].start].strip()
    starts = [block.start for block in outline.blocks]
    assert starts == sorted(starts)
    for block in outline.blocks:
        assert 0 <= block.start < block.end <= len(text)
        assert block.lead_start is None or 0 <= block.lead_start <= block.start
    for ordered in (
        [mark.start for mark in outline.marks],
        [part.start for part in outline.parts],
        *outline.breaks,
    ):
        assert list(ordered) == sorted(ordered)
        assert all(0 <= at <= len(text) for at in ordered)
    assert outline.parts[0].start == 0
    for start in {0, len(text) // 3, len(text) // 2, *starts}:
        Contexts(text, outline).context(start, min(start + 50, len(text)))
        Contexts(text, outline).place(start, start + 1)


def passages_of(made: Parsed, max_tokens: int = 60) -> list[tuple[str, Passage]]:
    """(text, passage) of every passage."""
    document = Document("d", made.text, made.title)
    passages = chunk(document, WORDS, outline=made.outline, max_tokens=max_tokens)
    return [(made.text[p.start : p.end], p) for p in passages]


def headings_at(made: Parsed, words: str) -> tuple[str, ...]:
    """Headings above the passage that holds these words."""
    return next(p.context.headings for text, p in passages_of(made, 16) if words in text)


def headings(made: Parsed) -> list[tuple[int, str]]:
    """(level, words) of every heading."""
    return [(section.level, section.heading) for section in made.outline.sections if section.level]


def blocks(made: Parsed) -> list[tuple[str, str, str]]:
    """(kind, lead, language) of every block."""
    return [(block.kind, block.lead, block.language) for block in made.outline.blocks]


def stretch(made: Parsed, at: int = 0) -> str:
    """The text of a block."""
    block = made.outline.blocks[at]
    return made.text[block.start : block.end]


def lines_at(made: Parsed, offsets: Sequence[int]) -> list[str]:
    """The beginning of the line at each offset."""
    return [made.text[at:].split("\n")[0].strip() for at in offsets]
