"""The result of `retrieval train`, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import duration
from retrieval.cli.output.style import Style
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.train.adapt import AdaptReport
    from retrieval.train.labelling import LabelReport


def trained(report: AdaptReport, style: Style) -> str:
    """The figures before and after, and which model was kept."""
    lines = [
        style.dress("title", safe(report.data))
        + f" ({report.held_out:,} {report.measured_on}, {report.documents:,} documents)",
        f"{'':<8}  {'nDCG@10':>17}  {'RR@10':>17}",
        f"{'':<8}  {'before':>8} {'after':>8}  {'before':>8} {'after':>8}",
    ]
    for retriever, before in report.before.items():
        after = report.after[retriever]
        cells = (f"{before[name]:8.4f} {after[name]:8.4f}" for name in before)
        lines.append(f"{retriever:<8}  {'  '.join(cells)}")
    lines += [f"note: {safe(note)}" for note in report.notes]
    lines.append(
        f"{report.train_queries:,} training queries in {report.steps:,} steps, "
        f"{duration(report.seconds)}"
    )
    place = safe(str(report.model))
    if report.kept == "start":
        lines.append(
            f"training did not improve it: {place} contains the starting model "
            f"{safe(report.start)} unchanged"
        )
    else:
        lines.append(
            f"{place} contains the trained model; use it with "
            f"`retrieval index PATH --index NEW --encoder {place}`"
        )
    return "\n".join(lines) + "\n"


def labelled(report: LabelReport, style: Style) -> str:
    """The figures of a classifier, and how to use it."""
    title = style.dress("title", safe(report.data))
    kinds = {label.removeprefix("B-").removeprefix("I-") for label in report.labels} - {"O"}
    names = sorted(kinds) if report.kind == "entities" else list(report.labels)
    shown = ", ".join(map(safe, names[:8])) + (", ..." if len(names) > 8 else "")
    lines = [f"{title} ({len(names)} labels: {shown})"]
    figures = "  ".join(f"{name} {value:.4f}" for name, value in report.figures.items())
    lines.append(
        f"{figures} measured on {report.held_out:,} held-out texts"
        if figures
        else "no text was held out, so nothing was measured"
    )
    lines += [f"note: {safe(note)}" for note in report.notes]
    lines.append(
        f"{report.train_texts:,} training texts in {report.steps:,} steps, "
        f"{duration(report.seconds)}"
    )
    place = safe(report.model)
    lines.append(
        f"{place} contains the classifier; use it with `retrieval index PATH --label {place}:FIELD`"
    )
    return "\n".join(lines) + "\n"
