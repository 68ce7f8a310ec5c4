"""Search results as text: where each hit is, and its matching lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import count
from retrieval.cli.output.explanation import matched, table
from retrieval.cli.output.style import Style
from retrieval.service.hit_names import headings_of, name_of
from retrieval.service.printable import columns, safe
from retrieval.service.snippet import Snippet, snippet

if TYPE_CHECKING:
    from retrieval.service.lookup import Around
    from retrieval.types import Hit, TokenMatch

_INDENT = 4
OTHERS = 3
"""Maximum other passages of a document, and maximum copies, that are listed."""
_SHARE = 0.1
"""Other passages are shown if they have at least this share of the best one's relevance."""

_LINES_COUNT = ("code", "json", "csv", "tsv", "psv", "jsonl", "mail")
"""Formats whose lines are never joined, since each stands for itself."""


def hits(
    found: Sequence[Hit],
    index: Path,
    style: Style,
    matches: Sequence[Sequence[TokenMatch]] | None = None,
    around: Sequence[Around] | None = None,
    context: int = 0,
    after: int = 0,
) -> str:
    """Search results: for each its place, what it is, relevance, retrievers, and a snippet.

    What it is: for code the definition and its lines, otherwise title and headings; and the page,
    cell or row where it begins.

    Below are the document's other passages, and other places of the same text.

    Args:
        found: best first.
        index: the index folder, which paths are stored relative to.
        style: style of the output stream.
        matches: for each hit the matches of the query's tokens: shown below it, and marked in the
            snippet instead of the query's words.
        around: for each hit the lines before and after its passage.
        context: how many lines to show before and after those that match.
        after: number of better hits left out before these.
    """
    wide = len(str(after + len(found)))
    parts = []
    for place, hit in enumerate(found):
        pairs = None if matches is None else matches[place]
        marks = hit.highlights if pairs is None else matched(pairs) or hit.highlights
        near = around[place] if around else ([], [])
        excerpt = _excerpt(hit, marks, near, context, style.width - _INDENT)
        part = _hit(f"{after + place + 1:{wide}}", hit, excerpt, index, style)
        if pairs is not None:
            part += table(pairs, style)
        below = [*_others(hit, index, style), *_copies(hit)]
        parts.append(part + "".join(f"{' ' * _INDENT}{line}\n" for line in below))
    return "\n".join(parts)


def files(found: Sequence[Hit], index: Path) -> str:
    """The files of hits, or the ids of what came from none, each once, as `hits` names them."""
    named = dict.fromkeys(name_of(hit, index).rpartition(":")[0] for hit in found)
    return "".join(f"{safe(name)}\n" for name in named)


def _excerpt(
    hit: Hit, marks: Sequence[tuple[int, int]], near: Around, context: int, width: int
) -> Snippet:
    """The lines that match, with context; it begins in the passage."""
    before, after = ("".join(f"{line}\n" for line in lines) for lines in near)
    ahead = len(before)
    found = snippet(
        before + hit.text + (f"\n{after}" if after else ""),
        [(start + ahead, end + ahead) for start, end in marks],
        width,
        prose=_is_prose(hit),
        context=context,
        within=(ahead, ahead + len(hit.text)),
    )
    return replace(found, match=max(0, found.match - ahead))


def _hit(rank: str, hit: Hit, excerpt: Snippet, index: Path, style: Style) -> str:
    parts = [
        rank,
        style.dress("path", safe(name_of(hit, index, excerpt.match))),
        f"{hit.relevance:.2f}",
        safe(str(hit.place)),
        style.dress("title", safe(_about(hit, style.width // 2))),
        style.dress("faint", _finders(hit.ranks)),
    ]
    lines = ["  ".join(part for part in parts if part)]
    for row in excerpt.rows:
        dressed = [style.dress("mark", p.text) if p.marked else p.text for p in row]
        lines.append(" " * _INDENT + "".join(dressed))
    return "\n".join(lines) + "\n"


def _others(hit: Hit, index: Path, style: Style) -> Iterator[str]:
    """The document's other passages: place, relevance and best line of each."""
    near = [other for other in hit.others if other.relevance >= _SHARE * hit.relevance][:OTHERS]
    for other in near:
        prose = _is_prose(other)
        excerpt = snippet(other.text, other.highlights, style.width, prose=prose, lines=1)
        where = safe(name_of(other, index, excerpt.match))
        symbol = f"{safe(_shortened(other.symbol, style.width // 3))}  " if other.symbol else ""
        head = f"{where}  {other.relevance:.2f}  {symbol}"
        line = "".join(piece.text for piece in excerpt.rows[0]) if excerpt.rows else ""
        room = style.width - _INDENT - columns(head)
        yield style.dress("path", where) + head[len(where) :] + _shortened(line, max(room, 20))
    left = len(hit.others) - len(near)
    if left:
        more = "more" if near else "other"
        yield style.dress("faint", f"and {count(left, f'{more} passage')}")


def _copies(hit: Hit) -> Iterator[str]:
    if hit.copy_count:
        ids = list(dict.fromkeys(safe(copy.document_id) for copy in hit.copies))[:OTHERS]
        more = ", ..." if hit.copy_count > len(ids) else ""
        places = count(hit.copy_count, "other place")
        yield f"the same text in {places}: {', '.join(ids)}{more}"


def _is_prose(hit: Hit) -> bool:
    return (
        not hit.passage.context.languages
        and hit.metadata.get("format") not in _LINES_COUNT
        and hit.metadata.get("extension") != ".log"
    )


def _about(hit: Hit, width: int) -> str:
    """The definition and the part of it that was found, or title and headings, innermost last."""
    if hit.symbol:
        first, last = hit.start_line, hit.end_line
        lines = f"line {first}" if first == last else f"lines {first}-{last}"
        return f"{_shortened(hit.symbol, width)}, {lines}"
    headings = headings_of(hit.title, hit.passage)
    about = " > ".join(headings)
    left = headings
    while len(about) > width and len(left) > 1:
        left = left[1:]
        about = " > ".join(["…", *left])
    return _shortened(about, width)


def _finders(ranks: Mapping[str, int]) -> str:
    return f"({', '.join(f'{name} {rank}' for name, rank in sorted(ranks.items()))})"


def _shortened(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
