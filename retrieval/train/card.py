"""The README of a model that was fitted to a task: how it was made, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.files.whole import write_whole
from retrieval.train.heldout import Figures

if TYPE_CHECKING:
    from retrieval.train.adapt import AdaptOptions, AdaptReport

CARD = "README.md"


def write_card(report: AdaptReport, options: AdaptOptions) -> Path:
    """Write the card into the model's folder; returns its path."""
    name = report.model.resolve().name
    length = (
        f"{options.epochs:g} epochs" if options.minutes is None else f"{options.minutes:g} minutes"
    )
    teacher = ", ".join(Path(one).name for one in options.teachers) or f"{report.start} itself"
    lines = [f"# {name}", ""]
    if report.kept == "start":
        lines += [
            f"These are the weights of {report.start}, unchanged: trained on {report.data} the "
            "model was no better on held-out queries, as the table shows.",
        ]
    else:
        lines += [f"{report.start}, trained further on {report.data}."]
    lines += [
        "",
        f"Held out: {report.held_out:,} {report.measured_on}, over {report.documents:,} documents. "
        "None of these queries was trained on. They decided between the model before and the "
        "model after, which makes the better figures a little too good.",
        "",
        table(report.before, report.after),
        "",
        "## What it was made from",
        "",
        f"- Start: {report.start}.",
        f"- Data: {report.data}, {report.train_queries:,} queries with their documents.",
        f"- Teacher: {teacher}, {options.scores} scores.",
        f"- Training: {length}, {report.steps:,} steps of {options.batch} queries with "
        f"{options.negatives} hard negatives each, peak learning rate {options.rate:g}, "
        f"seed {options.seed}.",
        *(f"- {note[:1].upper()}{note[1:]}." for note in report.notes),
        "",
        "The licences of the starting model and of the data hold for this model too.",
    ]
    path = report.model / CARD
    write_whole(path, "\n".join(lines) + "\n")
    return path


def table(before: Figures, after: Figures) -> str:
    """The figures as a table in Markdown."""
    measures = list(next(iter(before.values())))
    heads = [f"{measure} {when}" for measure in measures for when in ("before", "after")]
    rows = [["", *heads], ["---"] * (1 + len(heads))]
    for retriever in before:
        cells = [
            f"{figures[retriever][measure]:.4f}"
            for measure in measures
            for figures in (before, after)
        ]
        rows.append([retriever, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
