"""What `retrieval train` does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.cli import render
from retrieval.cli.json_output import print_json
from retrieval.cli.progress import bar_of
from retrieval.cli.style import Style, safe
from retrieval.encoders.embedded import embedded_folder
from retrieval.errors import InputError, MissingDependency
from retrieval.index.encoder import OBJECT

if TYPE_CHECKING:
    from retrieval.train.adapt import AdaptReport

EMBEDDED = "embedded"

_NEEDED = ("torch", "onnx")


def run_train(
    data: Path | None,
    out: Path,
    *,
    index: Path | None,
    start: str | None,
    choices: Mapping[str, Any],
    documents: int,
    held_out: int,
    cache: Path | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Train a model and print its figures before and after.

    Args:
        data: a folder with judged queries, or None where `index` is given.
        start: a folder, `embedded`, or None for the index's own encoder or the embedded model.
        choices: fields of AdaptOptions by name; None is the default.
        documents: that are searched, at most.
        held_out: queries that are measured on, at most.
    """
    if (data is None) == (index is None):
        raise InputError("give either a folder with judged queries or --index, one of the two")
    _check(choices)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"training needs {' and '.join(missing)}, not installed: "
            "pip install 'modernbert-retrieval[train]'"
        )
    from retrieval.train.adapt import AdaptOptions, adapt, starting_model
    from retrieval.train.pseudo import read_index
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
    with _training_bar() as told:
        report = adapt(
            task, out, start=model, options=options, device=device, cache=cache, told=told
        )
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(trained(report, Style.of(sys.stdout)))


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
        f"{report.train_queries:,} queries learnt from in {report.steps:,} steps, "
        f"{render.duration(report.seconds)}"
    )
    place = safe(str(report.model))
    if report.kept == "start":
        lines.append(
            f"training made it no better: {place} holds the starting model "
            f"{safe(report.start)} unchanged"
        )
    else:
        lines.append(
            f"{place} holds the trained model; use it with "
            f"`retrieval index PATH --index NEW --encoder {place}`"
        )
    return "\n".join(lines) + "\n"


def _model_of(index: Path, start: str | None) -> Path:
    """The folder of the model that the index was built with, which `start` must be if given."""
    from retrieval.encoders.model_folder import fingerprint
    from retrieval.train.adapt import starting_model
    from retrieval.train.pseudo import index_settings

    source = index_settings(index).encoder_source if start is None else start
    if source == OBJECT:
        raise InputError(
            f"the index at {index} was built with an Encoder object, which has no folder to begin "
            "with; name its model with --from"
        )
    model = starting_model(None if source == EMBEDDED else source)
    index_settings(index, fingerprint=fingerprint(model))
    return model


def _check(choices: Mapping[str, Any]) -> None:
    if choices["epochs"] is not None and choices["minutes"] is not None:
        raise InputError("--epochs and --minutes both say how long; give one of them")
    for name in ("epochs", "minutes", "rate"):
        value = choices[name]
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name} {value:g} cannot be used; give a number above 0")


@contextmanager
def _training_bar() -> Iterator[Callable[[str, int, int, float | None], None]]:
    """A bar for `adapt`."""
    with bar_of("reading the data") as show:
        yield lambda what, done, of, left: show(described(what, done, of, left), done, of)


def described(what: str, done: int, of: int, left: float | None) -> str:
    """`training: dense 0.412  late 0.388  120/600  4 min 0 s left`."""
    time = "" if left is None else f"  {render.duration(left)} left"
    return f"{what}  {done:,}/{of:,}{time}"
