"""Results of tools: as text to read, and as an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retrieval.mcp.wire import ToolResult

if TYPE_CHECKING:
    from retrieval.service.opened import Opened
    from retrieval.types import Hit

ROW_CHARACTERS = 200
"""Maximum characters of a line."""


class Budget:
    """The token budget of an answer, counted by an index's encoder."""

    def __init__(self, index: Opened, most: int | None) -> None:
        """Args: an index; the maximum, None for no limit."""
        self._index = index
        self._left = most

    def takes(self, text: str) -> bool:
        """Whether a part of the answer still fits; if so, its tokens are counted."""
        if self._left is None:
            return True
        from retrieval.service.scoring import count_tokens

        tokens = count_tokens(self._index.encoder, [text])
        if tokens > self._left:
            return False
        self._left -= tokens
        return True


def hits_result(
    hits: Sequence[Hit], max_lines: int, notes: Sequence[str], budget: Budget
) -> ToolResult:
    """The hits as a tool's result, with at most so many lines of each.

    Hits that do not fit the budget are left out, with a note of their number; the first is then
    shown with fewer lines.
    """
    shaped: list[dict[str, Any]] = []
    blocks: list[str] = []
    for hit in hits:
        for lines in (max_lines,) if blocks else (max_lines, max_lines // 3, 0):
            facts, block = _shown(hit, lines)
            if budget.takes(block):
                shaped.append(facts)
                blocks.append(block)
                break
        else:
            break
    if left := len(hits) - len(blocks):
        notes = [*notes, f"{left} more hits do not fit max_tokens"]
    if not hits:
        blocks.append("nothing found")
    text = "\n".join([*blocks, *noted(notes)])
    return ToolResult(text, {"hits": shaped, "notes": list(notes)})


def _shown(hit: Hit, lines: int) -> tuple[dict[str, Any], str]:
    """A hit as an object and as text with at most so many lines."""
    from retrieval.service.printable import safe
    from retrieval.service.snippet import snippet

    rows: list[str] = []
    line = hit.start_line
    if lines:
        shown = snippet(hit.text, hit.highlights, ROW_CHARACTERS, prose=False, lines=lines)
        rows = ["".join(piece.text for piece in row) for row in shown.rows]
        line += hit.text.count("\n", 0, shown.start)
    path = hit.path or hit.document_id
    about = hit.symbol or hit.heading
    alone = path == hit.document_id  # or one of several documents of a file
    facts = {
        "path": path,
        **({} if alone else {"id": hit.document_id}),
        "line": line,
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "relevance": round(hit.relevance, 2),
        **({"heading": hit.heading} if hit.heading else {}),
        **({"symbol": hit.symbol} if hit.symbol else {}),
        "text": "\n".join(rows),
    }
    head = [f"{safe(path)}:{line}", f"{hit.relevance:.2f}"]
    if not alone:
        head.append(f"id {cut(hit.document_id)}")
    if about:
        head.append(cut(about))
    return facts, "\n".join(["  ".join(head), *(f"    {row}" for row in rows)])


def noted(notes: Sequence[str]) -> list[str]:
    """Notes as lines; what they name, such as files, cannot begin another line."""
    from retrieval.service.printable import safe

    return [f"note: {safe(note)}" for note in notes]


def cut(text: str) -> str:
    """A text that is safe to show, of at most `ROW_CHARACTERS`."""
    from retrieval.service.printable import safe

    text = safe(text)
    return text if len(text) <= ROW_CHARACTERS else f"{text[: ROW_CHARACTERS - 1]}…"
