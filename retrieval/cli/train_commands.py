"""The command `retrieval train` and its options."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class TeacherScores(StrEnum):
    """Which scores of a teacher count."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LATE = "late"


def train(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="MODEL", help="Folder of the new model; new, or empty."),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Folder in BEIR's format with a train split."),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index", metavar="DIR", help="Train without labels, on the documents of this index."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SRC",
            help="Folder of the model to begin with, or embedded; the index's own, or the "
            "embedded one, if not given.",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option("--epochs", metavar="E", help="How often each query is seen; 3 if not given."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", metavar="M", help="Train for about so long, instead of epochs."),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=2, help="Queries of a step.")
    ] = 16,
    negatives: Annotated[
        int,
        typer.Option("--negatives", metavar="N", min=1, max=16, help="Hard negatives of a query."),
    ] = 3,
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="Peak learning rate.")] = 2e-4,
    passage_tokens: Annotated[
        int, typer.Option("--passage-tokens", metavar="N", min=1, help="Longest passage.")
    ] = 256,
    documents: Annotated[
        int,
        typer.Option(
            "--documents", metavar="N", min=2, help="So many documents at most are searched."
        ),
    ] = 20_000,
    held_out: Annotated[
        int,
        typer.Option("--held-out", metavar="N", min=1, help="So many queries at most measure."),
    ] = 200,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            metavar="SRC",
            help="Folder or Hub id of a teacher; more than once for several, averaged. The model "
            "to begin with if not given.",
        ),
    ] = None,
    teacher_scores: Annotated[
        TeacherScores, typer.Option("--teacher-scores", help="Which of its scores count.")
    ] = TeacherScores.HYBRID,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Keep indexes, candidates and teachers' vectors here for other runs.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="cpu, cuda or cuda:1; CUDA if there and not given."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all chance.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model further on your own data and measure it before and after.

    Run the same command again after Ctrl-C: it goes on from the last checkpoint.
    """
    from retrieval.cli.train_runs import run_train

    run_train(
        data,
        out,
        index=index,
        start=start,
        choices={
            "epochs": epochs,
            "minutes": minutes,
            "batch": batch,
            "negatives": negatives,
            "rate": rate,
            "passage_tokens": passage_tokens,
            "teachers": tuple(teacher or ()),
            "scores": teacher_scores.value,
            "seed": seed,
        },
        documents=documents,
        held_out=held_out,
        cache=cache,
        device=device,
        as_json=as_json,
    )
