"""A comparison of two systems as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from retrieval.eval.compare import LEVEL, Compared, Comparison


def _plain(style: str, text: str) -> str:
    return text


def render_comparison_text(
    comparison: Comparison,
    *,
    width: int = 100,
    dress: Callable[[str, str], str] = _plain,
) -> str:
    """A comparison for a terminal.

    Args:
        width: columns; longer texts are folded or cut.
        dress: takes a style's name (title, mark, faint, wrong) and a text, as `Style.dress` does.
    """
    lines = [
        dress("title", f"{comparison.measure}, A less B"),
        f"A  {_safe(comparison.a)}",
        f"B  {_safe(comparison.b)}",
        "",
    ]
    lines += _table(comparison.compared, dress)
    for collection, reasons in comparison.refused.items():
        lines.append("")
        lines.append(dress("wrong", f"{_safe(collection)}: not compared"))
        lines += _folded((f"- {_safe(reason)}" for reason in reasons), width)
    if comparison.left_out:
        said = ", ".join(_safe(system) for system in comparison.left_out)
        wanted = "the other folder has none of that name; --systems X,Y takes any two"
        lines += ["", *_folded([f"not compared: {said} ({wanted})"], width)]
    for item in comparison.compared:
        lines += _details(item, width, dress)
    return "\n".join(lines) + "\n"


def _table(compared: Sequence[Compared], dress: Callable[[str, str], str]) -> list[str]:
    if not compared:
        return ["nothing could be compared"]
    head = ("collection", "A", "B", "mean A", "mean B", "A - B", "95 % interval")
    rows = [(*head, "p", "", "d", "W/T/L", "queries", "needed")]
    for item in compared:
        rows.append(
            (
                _safe(item.collection),
                _safe(item.a),
                _safe(item.b),
                f"{item.mean_a:.4f}",
                f"{item.mean_b:.4f}",
                f"{item.difference:+.4f}",
                "" if item.low is None else f"[{item.low:+.4f}, {item.high:+.4f}]",
                shown_p(item.corrected),
                "*" if item.corrected <= LEVEL else "",
                "" if item.effect is None else f"{item.effect:+.2f}",
                f"{item.wins}/{item.ties}/{item.losses}",
                f"{item.queries:,}",
                "" if item.needed is None else f"{item.needed:,}",
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        sides = [str.ljust] * 3 + [str.rjust] * (len(row) - 3)
        cells = [side(cell, wide) for side, cell, wide in zip(sides, row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        lines.append(dress("faint", line) if number == 0 else line)
    lines.append("")
    lines.append(
        dress("faint", f"p: randomisation test, Holm-corrected over {len(compared)}; * p <= 0.05;")
    )
    lines.append(
        dress("faint", "needed: queries to see a difference of 0.01 (80 % power, 5 % level)")
    )
    return lines


def _details(item: Compared, width: int, dress: Callable[[str, str], str]) -> list[str]:
    lines: list[str] = []
    if item.notes or item.differ_most:
        title = f"{item.collection}: {item.a} and {item.b}"
        lines += ["", dress("title", _safe(title))]
    lines += _folded((f"- {_safe(note)}" for note in item.notes), width)
    for query in item.differ_most:
        text = f"  {query.text}" if query.text else ""
        lines.append(_cut(f"{query.a:.3f}  {query.b:.3f}  {query.query}{text}", width))
        for side, first, shown in (
            ("A", query.first_a, query.first_text_a),
            ("B", query.first_b, query.first_text_b),
        ):
            if first is not None:
                said = f"{' ' * 14}{side}: {first}{f'  {shown}' if shown else ''}"
                lines.append(dress("faint", _cut(said, width)))
    return lines


def shown_p(p: float) -> str:
    """`0.031`, or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _folded(lines: Iterable[str], width: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="  ")]


def _cut(text: str, width: int) -> str:
    text = _safe(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _safe(text: str) -> str:
    """On one line, and without what could move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
