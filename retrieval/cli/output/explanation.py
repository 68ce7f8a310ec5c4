"""Matches of a query's tokens, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrieval.cli.output.style import Style
from retrieval.service.printable import columns, safe

if TYPE_CHECKING:
    from retrieval.types import TokenMatch

_INDENT = "    "
_GAP = "   "
_SPECIAL = "(special)"
_UNKNOWN = "?"
_WIDEST = 24  # characters of a token; few are longer than a dozen


def matched(matches: Sequence[TokenMatch]) -> tuple[tuple[int, int], ...]:
    """Spans of the passage's tokens that were matched, ascending and disjoint."""
    spans = {match.passage_span for match in matches if match.query_token.strip()}
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span is not None and span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def table(matches: Sequence[TokenMatch], style: Style) -> str:
    """`query token -> passage token  score` for each match, in as many columns as fit."""
    pairs = [
        (
            _token(match.query_token, match.query_span),
            _token(match.passage_token, match.passage_span),
            f"{match.score:.2f}",
        )
        for match in matches
    ]
    if not pairs:
        return ""
    wide = [max(columns(pair[part]) for pair in pairs) for part in range(3)]
    cells = [
        f"{_padded(asked, wide[0])} -> {_padded(answer, wide[1])}  {score:>{wide[2]}}"
        for asked, answer, score in pairs
    ]
    room = style.width - len(_INDENT) + len(_GAP)
    across = max(1, room // (sum(wide) + len(" ->   ") + len(_GAP)))
    down = -(-len(cells) // across)
    rows = [_GAP.join(cells[row::down]) for row in range(down)]
    return "".join(f"{_INDENT}{style.dress('faint', row)}\n" for row in rows)


def _token(text: str, span: tuple[int, int] | None) -> str:
    if not text:
        return _UNKNOWN if span is None else _SPECIAL
    line = " ".join(safe(text).split())
    return line if columns(line) <= _WIDEST else f"{line[: _WIDEST // 2 - 1]}…"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
