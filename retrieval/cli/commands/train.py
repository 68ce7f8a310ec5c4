"""`retrieval train`: training a model further on your own data."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from retrieval.cli.options import AsJson, folder_given
from retrieval.cli.program import app
from retrieval.errors import InputError, MissingDependency

EMBEDDED = "embedded"

_NEEDED = ("torch", "onnx")

HELD_OUT_SHARE = 0.1
"""Share of labelled texts to measure on."""


class TeacherScores(StrEnum):
    """Which scores of a teacher to learn."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LATE = "late"


@app.command("train", short_help="Train a model further on your own data.")
def train(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="MODEL", help="Folder of the new model; new or empty."),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Folder in BEIR's format with a train split; or a CSV or JSONL file of texts with "
            "labels, which a classifier learns.",
        ),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            parser=folder_given,
            metavar="DIR",
            help="Train without labels, on the documents of this index.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SRC",
            help="Folder of the model to start from, or embedded; the index's own, or the "
            "embedded one, if not given.",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            metavar="E",
            help="How often each query or text is seen; 3 if not given, more for few labelled "
            "texts. 0: a linear probe.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", metavar="M", help="Train for about so many minutes, instead of epochs."
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=2, help="Queries or texts per step.")
    ] = 16,
    negatives: Annotated[
        int,
        typer.Option("--negatives", metavar="N", min=1, max=16, help="Hard negatives per query."),
    ] = 3,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="R",
            help="Peak learning rate; if not given 0.0002, or 0.001 for labels of words.",
        ),
    ] = None,
    passage_tokens: Annotated[
        int,
        typer.Option(
            "--passage-tokens", metavar="N", min=3, help="Maximum tokens of a passage or text."
        ),
    ] = 256,
    documents: Annotated[
        int,
        typer.Option(
            "--documents", metavar="N", min=2, help="Maximum number of documents to search."
        ),
    ] = 20_000,
    held_out: Annotated[
        int,
        typer.Option(
            "--held-out", metavar="N", min=1, help="Maximum number of queries to measure on."
        ),
    ] = 200,
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev",
            metavar="FILE",
            help="Labelled texts to measure a classifier on; a tenth of DATA if not given.",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            metavar="SRC",
            help="Folder or Hub id of a teacher, an encoder or a cross-encoder; repeat it to "
            "average several. The model to start from if not given.",
        ),
    ] = None,
    teacher_scores: Annotated[
        TeacherScores, typer.Option("--teacher-scores", help="Which of its scores to learn.")
    ] = TeacherScores.HYBRID,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Cache indexes, candidates and teachers' vectors here for other runs.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="cpu, cuda or cuda:1; CUDA if available and not given."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train a model further on your own data and measure it before and after.

    Run the same command again after Ctrl-C: it continues from the last checkpoint.
    """
    choices: dict[str, Any] = {
        "epochs": epochs,
        "minutes": minutes,
        "batch": batch,
        "negatives": negatives,
        "rate": rate,
        "passage_tokens": passage_tokens,
        "teachers": tuple(teacher or ()),
        "scores": teacher_scores.value,
        "seed": seed,
    }
    if (data is None) == (index is None):
        raise InputError("give one of DATA (judged queries, or texts with labels) and --index")
    labelled = data is not None and data.is_file()
    _check(choices, labelled=labelled)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"training needs {' and '.join(missing)}, not installed: "
            "pip install 'modernbert-retrieval[train]'"
        )
    if data is not None and labelled:
        _train_classifier(data, dev, out, start, choices, device, as_json=as_json)
        return
    if dev is not None:
        raise InputError("--dev is for labelled texts; a folder has a dev split of its own")
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.style import Style
    from retrieval.cli.output.training import trained
    from retrieval.encoders.embedded import embedded_folder
    from retrieval.train.adapt import AdaptOptions, adapt, starting_model
    from retrieval.train.pseudo_queries import read_index
    from retrieval.train.task import read_task

    given = {name: value for name, value in choices.items() if value is not None}
    given["teachers"] = tuple(
        str(embedded_folder()) if source == EMBEDDED else source for source in choices["teachers"]
    )
    options = AdaptOptions(**given)
    limits = {"most_documents": documents, "most_held_out": held_out, "seed": options.seed}
    if index is None:
        model = starting_model(None if start == EMBEDDED else start)
        task = read_task(Path(str(data)), **limits)
    else:
        model = _model_of(index, start)
        task = read_index(index, **limits)
    with progress_bar("reading the data") as bar:
        report = adapt(
            task, out, start=model, options=options, device=device, cache=cache, progress=bar
        )
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(trained(report, Style.of(sys.stdout)))


def _train_classifier(
    data: Path,
    dev: Path | None,
    out: Path,
    start: str | None,
    choices: Mapping[str, Any],
    device: str | None,
    *,
    as_json: bool,
) -> None:
    """Fit a classifier to the texts with labels in a file."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.style import Style
    from retrieval.cli.output.training import labelled
    from retrieval.train.label_data import divided, read_labelled
    from retrieval.train.labelling import LabelOptions, fit_labels

    shared = ("epochs", "minutes", "batch", "rate", "seed")
    given = {name: choices[name] for name in shared if choices[name] is not None}
    options = LabelOptions(**given, max_tokens=choices["passage_tokens"])
    learnt = read_labelled(data)
    if dev is None:
        learnt, held_out = divided(learnt, HELD_OUT_SHARE, options.seed)
    else:
        held_out = read_labelled(dev)
    source = None if start == EMBEDDED else start
    with progress_bar("reading the data") as bar:
        report = fit_labels(
            learnt, held_out, out, start=source, options=options, device=device, progress=bar
        )
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(labelled(report, Style.of(sys.stdout)))


def _model_of(index: Path, start: str | None) -> Path:
    """The folder of the model that the index was built with, which `start` must be if given."""
    from retrieval.encoders.model_folder import fingerprint
    from retrieval.index.encoder import OBJECT
    from retrieval.train.adapt import starting_model
    from retrieval.train.pseudo_queries import index_settings

    source = index_settings(index).encoder_source if start is None else start
    if source == OBJECT:
        raise InputError(
            f"the index at {index} was built with an Encoder object, which has no folder to begin "
            "with; name its model with --from"
        )
    model = starting_model(None if source == EMBEDDED else source)
    index_settings(index, fingerprint=fingerprint(model))
    return model


def _check(choices: Mapping[str, Any], *, labelled: bool) -> None:
    if choices["epochs"] is not None and choices["minutes"] is not None:
        raise InputError("--epochs and --minutes exclude each other; give one of them")
    for name in ("epochs", "minutes", "rate"):
        value = choices[name]
        if name == "epochs" and value == 0 and labelled:
            continue  # a linear probe
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name} {value:g} cannot be used; give a number above 0")
