"""Search results as text: where each hit is, and the lines of it that match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.output.explanation import matched, table
from retrieval.cli.output.style import Style
from retrieval.service.location import shown
from retrieval.service.printable import safe
from retrieval.service.snippet import snippet

if TYPE_CHECKING:
    from retrieval.types import Hit, TokenMatch

_INDENT = 4


def hits(
    found: Sequence[Hit],
    index: Path,
    style: Style,
    matches: Sequence[Sequence[TokenMatch]] | None = None,
) -> str:
    """Search results: a line of where, score, title and who found it, then the snippet.

    Args:
        found: best first.
        index: the index folder, which paths are stored relative to.
        style: of the stream that this is for.
        matches: for each hit what the query's tokens matched: shown below it, and marked in the
            snippet instead of the query's words.
    """
    wide = len(str(len(found)))
    parts = []
    for place, hit in enumerate(found):
        pairs = None if matches is None else matches[place]
        marks = hit.highlights if pairs is None else matched(pairs) or hit.highlights
        part = _hit(f"{place + 1:{wide}}", hit, marks, index, style)
        parts.append(part if pairs is None else part + table(pairs, style))
    return "\n".join(parts)


def _hit(rank: str, hit: Hit, marks: Sequence[tuple[int, int]], index: Path, style: Style) -> str:
    prose = hit.metadata.get("format") not in ("code", "json")
    excerpt = snippet(hit.text, marks, style.width - _INDENT, prose=prose)
    parts = [
        rank,
        style.dress("path", safe(_where(hit, index, excerpt.start))),
        f"{hit.score:.3f}",
        style.dress("title", safe(_shortened(hit.title, style.width // 2))),
        style.dress("faint", _finders(hit.ranks)),
    ]
    lines = ["  ".join(part for part in parts if part)]
    for row in excerpt.rows:
        dressed = [style.dress("mark", p.text) if p.marked else p.text for p in row]
        lines.append(" " * _INDENT + "".join(dressed))
    return "\n".join(lines) + "\n"


def _where(hit: Hit, index: Path, start: int) -> str:
    """`path:line` of what is shown, or the id of a document that is no file."""
    if hit.path is None:
        return hit.document_id
    line = hit.metadata.get("line")  # of a record among many in one file
    if not isinstance(line, int):
        line = hit.start_line + hit.text.count("\n", 0, start)
    return f"{shown(index, hit.path)}:{line}"


def _finders(ranks: Mapping[str, int]) -> str:
    return f"({', '.join(f'{name} {rank}' for name, rank in sorted(ranks.items()))})"


def _shortened(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
