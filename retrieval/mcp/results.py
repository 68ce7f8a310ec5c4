"""What tools answer: text to read, and the same as an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrieval.mcp.wire import ToolResult

if TYPE_CHECKING:
    from retrieval.types import Hit

ROW_CHARACTERS = 200
"""Of a line, at most."""


def hits_result(hits: Sequence[Hit], max_lines: int, notes: Sequence[str]) -> ToolResult:
    """The hits as a tool answers them, with at most so many lines of each."""
    from retrieval.service.printable import safe
    from retrieval.service.snippet import snippet

    shaped, blocks = [], []
    for hit in hits:
        rows: list[str] = []
        line = hit.start_line
        if max_lines:
            shown = snippet(hit.text, hit.highlights, ROW_CHARACTERS, prose=False, lines=max_lines)
            rows = ["".join(piece.text for piece in row) for row in shown.rows]
            line += hit.text.count("\n", 0, shown.start)
        path = hit.path or hit.document_id
        about = hit.symbol or hit.heading
        shaped.append(
            {
                "path": path,
                "line": line,
                "start_line": hit.start_line,
                "end_line": hit.end_line,
                "relevance": round(hit.relevance, 2),
                **({"heading": hit.heading} if hit.heading else {}),
                **({"symbol": hit.symbol} if hit.symbol else {}),
                "text": "\n".join(rows),
            }
        )
        head = f"{safe(path)}:{line}  {hit.relevance:.2f}" + (f"  {cut(about)}" if about else "")
        blocks.append("\n".join([head, *(f"    {row}" for row in rows)]))
    if not hits:
        blocks.append("nothing found")
    text = "\n".join([*blocks, *noted(notes)])
    return ToolResult(text, {"hits": shaped, "notes": list(notes)})


def noted(notes: Sequence[str]) -> list[str]:
    """Notes as lines."""
    return [f"note: {note}" for note in notes]


def cut(text: str) -> str:
    """A text that is safe to show, of at most `ROW_CHARACTERS`."""
    from retrieval.service.printable import safe

    text = safe(text)
    return text if len(text) <= ROW_CHARACTERS else f"{text[: ROW_CHARACTERS - 1]}…"
