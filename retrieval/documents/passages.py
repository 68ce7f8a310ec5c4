"""A document to passages: parts of at most so many tokens, cut where the text itself has parts.

The text is tokenised once. Its parts (sections, top-level definitions of code) are cut apart,
except that a tiny one joins its neighbour. A definition that is too long is cut in the same way at
the definitions in it: a class at its methods. What is still too long is cut from its start, each
time at the best place between a quarter of the limit and the limit: the last block, item, row or
paragraph that begins there, or else the last sentence, line, word or, if there is nothing else,
token. A row of a table that fits into a passage is never cut.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.documents.context import Contexts
from retrieval.documents.formats import outline_of
from retrieval.documents.outline import Block, Outline
from retrieval.errors import InputError
from retrieval.types import Document, Passage, TokenSpans

MAX_TOKENS = 256

_BLOCK_CHARS = 256 * 1024
"""Tokenised at a time: a tokenizer's own memory is many times the text."""
_LONGEST_WORD = 4 * 1024 * 1024
"""A stretch without white space is tokenised in pieces beyond this many characters."""

_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*+")
_SENTENCE = re.compile(r"(?:[.!?…][\"'”’»)\]]*+\s++(?=[^\sa-z])|[。！？][」』”’）]*+\s*+)")
_SPACE = re.compile(r"\s*+")
_WORD = re.compile(r"\w")
_ZERO_WIDTH_JOINER = "\u200d"


def chunk(
    document: Document,
    token_spans: TokenSpans,
    *,
    outline: Outline | None = None,
    max_tokens: int = MAX_TOKENS,
) -> list[Passage]:
    """Cut a document into passages, in order, without overlap, leaving out nothing but white space.

    A passage neither begins nor ends with white space. It has at most `max_tokens` of the
    document's tokens, unless a single character has more. A text of white space alone has no
    passages.

    Args:
        document: what to cut.
        token_spans: text to i64 [t, 2], the character spans of its tokens in order.
        outline: the document's structure; None finds it by `format` or `language` in its metadata.
        max_tokens: the most tokens of a passage.

    Raises:
        InputError: `max_tokens` is less than 1.
    """
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; a passage has at least 1 token")
    text = document.text
    if not text.strip():
        return []
    tokens = _Tokens.of(text, token_spans)
    if outline is None:
        outline = outline_of(text, document.metadata)
    contexts = Contexts(text, outline)
    passages: list[Passage] = []
    for start, end in _spans(text, tokens, outline, max_tokens):
        start += len(text[start:end]) - len(text[start:end].lstrip())
        end = start + len(text[start:end].rstrip())
        if start < end:
            context, place = contexts.context(start, end), contexts.place(start, end)
            passages.append(Passage(document.id, len(passages), start, end, context, place))
    return passages


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Where a text's tokens start and end: i32 [t] each, neither ever falling.

    A text of 32 MB has millions of tokens, so no more than these two arrays is kept of them.
    """

    text: str
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    @classmethod
    def of(cls, text: str, token_spans: TokenSpans) -> _Tokens:
        starts: list[NDArray[np.int32]] = []
        ends: list[NDArray[np.int32]] = []
        last = np.zeros((1, 2), np.int64)
        for begin, end in _blocks(text):
            spans = np.asarray(token_spans(text[begin:end]), dtype=np.int64).reshape(-1, 2)
            rising = np.maximum.accumulate(np.concatenate((last, spans + begin)), axis=0)
            last = rising[-1:]
            starts.append(rising[1:, 0].astype(np.int32))
            ends.append(rising[1:, 1].astype(np.int32))
        return cls(text, np.concatenate(starts), np.concatenate(ends))

    def at(self, offset: int) -> int:
        """The first token that ends beyond a character offset: the first of what begins there."""
        # With a plain number, numpy would convert all of `ends` for it.
        return int(self.ends.searchsorted(np.int32(offset), side="right"))

    def count(self, start: int, end: int) -> int:
        """Tokens of what stands between two character offsets."""
        return self.at(end) - self.at(start)

    def divides(self, offset: int) -> bool:
        """Whether no token has text on both sides of the offset (white space may hang over)."""
        token = self.at(offset)
        if token == len(self.starts) or (start := int(self.starts[token])) >= offset:
            return True
        space = _SPACE.match(self.text, start, offset)
        return space is not None and space.end() == offset

    def word_before(self, token: int, least: int) -> int | None:
        """Where the last word starts whose first token is one of least, ..., token."""
        for at in range(token, least - 1, -1):
            start = int(self.starts[at])
            if not self._apart(at):
                continue
            if self.text[start - 1].isspace() or self.text[start].isspace():
                return start
        return None

    def any_before(self, token: int, first: int, last: int) -> int | None:
        """Where `token` starts, or the nearest one to it that divides no character.

        Marks on a character stay with it if a token after `first` allows; if not even a code point
        can be kept whole before `token`, it is a later one before `last`.
        """
        for at in range(token, first, -1):
            if self._apart(at) and not self._in_character(int(self.starts[at])):
                return int(self.starts[at])
        for at in (*range(token, first, -1), *range(token + 1, last)):
            if self._apart(at):
                return int(self.starts[at])
        return None

    def _apart(self, token: int) -> bool:
        """Whether a token begins where the one before has ended: one character can be several."""
        return bool(self.starts[token] >= self.ends[token - 1])

    def _in_character(self, offset: int) -> bool:
        """Whether what begins here is a mark on the character before it."""
        before, after = self.text[offset - 1], self.text[offset]
        return _ZERO_WIDTH_JOINER in (before, after) or unicodedata.category(after)[0] == "M"


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Stretches to tokenise on their own, cut before white space, where no token is cut."""
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        end = text.rfind("\n", start + 1, start + _BLOCK_CHARS)
        if end < 0:
            end = text.rfind(" ", start + 1, start + _BLOCK_CHARS)
        if end < 0:
            space = re.compile(r"\s").search(text, start + 1, start + _LONGEST_WORD)
            end = space.start() if space else min(start + _LONGEST_WORD, len(text))
        # Cut before the whole of the white space, which some tokenizers join into one token.
        end = start + (len(text[start:end].rstrip()) or end - start)
        yield start, end
        start = end
    yield start, len(text)


def _spans(
    text: str, tokens: _Tokens, outline: Outline, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """The spans of all passages, white space around them included."""
    definitions = [block for block in outline.blocks if block.kind == "definition"]
    starts = [block.start for block in definitions]
    tables = _Tables.of(outline)
    for part in _joined(text, tokens, outline, max_tokens):
        waiting = [_Stretch(part[0], part[0], part[1])]
        while waiting:
            one = waiting.pop()
            if tokens.count(one.start, one.end) <= max_tokens:
                yield one.start, one.end
                continue
            inner = _inner(text, tokens, definitions, starts, one)
            parts = _gathered(tokens, [one.start, *inner, one.end], max_tokens)
            if len(parts) > 1 or parts[0].within > one.within:
                waiting += reversed(parts)
            else:
                yield from _pieces(one.start, one.end, tokens, outline, tables, max_tokens)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A span that may be cut at the definitions that begin in it, after the offset `within`."""

    start: int
    within: int
    end: int


def _inner(
    text: str, tokens: _Tokens, definitions: Sequence[Block], starts: Sequence[int], one: _Stretch
) -> list[int]:
    """Where the outermost definitions in a stretch begin, and where the code between two begins."""
    found: list[int] = []
    done = one.start
    at = bisect_right(starts, one.within)
    while at < len(starts) and starts[at] < one.end:
        found += [cut for cut in (done, starts[at]) if cut > one.start]
        end = definitions[at].end
        at = bisect_left(starts, end, at + 1)
        following = starts[at] if at < len(starts) else one.end
        done = end if _WORD.search(text, end, min(following, one.end)) else one.start
    if one.start < done < one.end:
        found.append(done)
    return [cut for cut in sorted(set(found)) if _begins_line(text, cut) and tokens.divides(cut)]


def _begins_line(text: str, at: int) -> bool:
    at += len(text[at : at + 100]) - len(text[at : at + 100].lstrip())
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _gathered(tokens: _Tokens, bounds: Sequence[int], max_tokens: int) -> list[_Stretch]:
    """Stretches between bounds, tiny ones joined to a neighbour.

    What fits nowhere begins the next one (the head of a class its first method) or ends the one
    before it, if that has to be cut anyway; a line or so begins the next one in any case.
    """
    tiny = max_tokens // 4
    made: list[_Stretch] = []
    start, within, size = bounds[0], bounds[0], tokens.count(bounds[0], bounds[1])
    for at, end in pairwise(bounds[1:]):
        own = tokens.count(at, end)
        if min(size, own) < tiny and size + own <= max_tokens:
            size += own
        elif size < (tiny if own > max_tokens else tiny // 4):
            within, size = at, size + own
        else:
            made.append(_Stretch(start, within, at))
            start, within, size = at, at, own
    last = _Stretch(start, within, bounds[-1])
    if made and size < tiny and tokens.count(made[-1].start, made[-1].end) > max_tokens:
        last = _Stretch(made[-1].start, made[-1].within, last.end)
        made.pop()
    return [*made, last]


def _joined(
    text: str, tokens: _Tokens, outline: Outline, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """The spans of parts, tiny ones joined to a neighbour that is not above them.

    A part under a quarter of the limit, or one that follows such, joins what stands before it if
    both fit into one passage.
    """
    tiny = max_tokens // 4
    parts = [part for part in outline.parts if part.start == 0 or tokens.divides(part.start)]
    bounds = [*(part.start for part in parts), len(text)]
    firsts = [tokens.at(start) for start in bounds[:-1]] + [len(tokens.starts)]
    start, level, size = 0, parts[0].level, firsts[1]
    for at in range(1, len(parts)):
        own = firsts[at + 1] - firsts[at]
        is_tiny = size < tiny or own < tiny
        may_join = parts[at].joins and parts[at].level >= level
        if is_tiny and may_join and size + own <= max_tokens:
            size += own
        else:
            yield start, bounds[at]
            start, level, size = bounds[at], parts[at].level, own
    yield start, len(text)


@dataclass(frozen=True, slots=True)
class _Tables:
    """Where tables stand, whose rows are to stay whole wherever a passage can hold them."""

    starts: Sequence[int]
    ends: Sequence[int]
    rows: Sequence[int]

    @classmethod
    def of(cls, outline: Outline) -> _Tables:
        found = [block for block in outline.blocks if block.kind == "table"]
        rows = outline.breaks[-1] if outline.breaks else ()
        return cls([block.start for block in found], [block.end for block in found], rows)

    def is_between(self, cut: int) -> bool:
        """Whether a cut stands in no table, or between two rows of one."""
        at = bisect_right(self.starts, cut) - 1
        if at < 0 or not self.starts[at] < cut < self.ends[at]:
            return True
        row = bisect_left(self.rows, cut)
        return row < len(self.rows) and self.rows[row] == cut

    def before(self, start: int, tokens: _Tokens, first: int, max_tokens: int) -> int | None:
        """Where the last row or table begins that a passage from `start` on does not hold whole.

        None if the passage begins there itself: the row is longer than a passage.
        """
        last = first + max_tokens
        limit = int(tokens.starts[last]) if last < len(tokens.starts) else len(tokens.text)
        cut = max(
            (
                offsets[at]
                for offsets in (self.rows, self.starts)
                if (at := bisect_right(offsets, limit) - 1) >= 0
            ),
            default=0,
        )
        return cut if cut > start and tokens.divides(cut) else None


def _pieces(
    start: int, end: int, tokens: _Tokens, outline: Outline, tables: _Tables, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """A part's span, cut into pieces that fit; the last piece is not left tiny."""
    least = max(1, max_tokens // 4)
    last = tokens.at(end)
    first = tokens.at(start)
    while last - first > max_tokens:
        most = min(max_tokens, last - first - least)
        cut = _cut(tokens, outline, start, first + least, first + most)
        if cut is None or not tables.is_between(cut):
            cut = tables.before(start, tokens, first, max_tokens) or cut
        if cut is None:
            cut = tokens.any_before(first + most, first, last)
        if cut is None:
            break
        yield start, cut
        start, first = cut, tokens.at(cut)
    yield start, end


def _cut(tokens: _Tokens, outline: Outline, start: int, least: int, most: int) -> int | None:
    """The best place to cut: a character offset where one of the tokens least, ..., most begins.

    None if there is nothing better than to cut a word.

    Args:
        tokens: the text's tokens.
        outline: where the text has parts.
        start: where the piece starts that is to end at the cut.
        least: the first token that may begin the next piece.
        most: the last one.
    """
    text = tokens.text
    low, high = int(tokens.ends[least - 1]), int(tokens.starts[most])
    for breaks in outline.breaks:
        for at in range(bisect_right(breaks, high) - 1, -1, -1):
            if breaks[at] < low:
                break
            if tokens.divides(breaks[at]):
                return breaks[at]
    for pattern in (_PARAGRAPH, _SENTENCE) if outline.sentences else (_PARAGRAPH,):
        # A full stop is the last token of its sentence; a step back brings it into view.
        matches = pattern.finditer(text, max(start, low - 3), high + 1)
        for cut in reversed([match.end() for match in matches]):
            if low <= cut <= high and tokens.divides(cut):
                return cut
    line = text.rfind("\n", low, high) + 1
    if line and tokens.divides(line):
        return line
    return tokens.word_before(most, least)
