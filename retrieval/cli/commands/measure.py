"""`retrieval measure`: what a search's approximations miss and cost on an index."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import AsJson, EncoderSource, IndexFolder
from retrieval.cli.program import app
from retrieval.errors import InputError

if TYPE_CHECKING:
    from retrieval.index import Index

Qrels = Mapping[str, Mapping[str, int]]
"""Grade by document id, by query id."""

MEASURE = "nDCG@10"
SAMPLE = 100


@app.command(short_help="Measure what approximation misses and costs.")
def measure(
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            metavar="FILE",
            help="Queries, one per line, or .jsonl as in BEIR; taken from passages if not given.",
        ),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option("--qrels", metavar="FILE", help="Judgements of the queries, as in BEIR."),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", metavar="N", min=1, help="How many hits to compare.")
    ] = 10,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", metavar="N", min=1, help="How many queries are drawn; 100 if not given."
        ),
    ] = None,
    folder: IndexFolder = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Measure what a search misses and how long it takes, compared with an exact one."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import measured
    from retrieval.index import Index
    from retrieval.service.json_shape import measured_as_dict
    from retrieval.service.location import index_to_read

    if queries is not None and sample is not None:
        raise InputError("--sample draws queries and --queries names them; give one of them")
    if qrels is not None and (queries is None or queries.suffix != ".jsonl"):
        raise InputError(
            f"{qrels} judges queries by their ids; give those with --queries FILE.jsonl"
        )
    texts = None if queries is None else _queries(queries)
    judged = {} if qrels is None else _judged(qrels)
    if texts is not None and qrels is not None:
        texts = {id: text for id, text in texts.items() if id in judged}
        if not texts:
            raise InputError(
                f"{qrels} judges none of the queries of {queries}; give the judgements of these"
            )
    with (
        Index.open(index_to_read(folder), encoder=encoder) as index,
        progress_bar("reading") as bar,
    ):
        if texts is not None and qrels is not None:
            _check_documents(index, {id: judged[id] for id in texts}, qrels)
        asked = None if texts is None else list(texts.values())
        report = index.measure(
            asked, k=k, sample=SAMPLE if sample is None else sample, progress=bar
        )
    values: dict[str, float] | None = None
    if texts is not None and qrels is not None:
        from retrieval.eval import judge

        found = judge(report, list(texts), judged, [MEASURE])
        values = {name: values_of[MEASURE] for name, values_of in found.items()}
    if as_json:
        print_json(measured_as_dict(report) | {"ndcg_at_10": values})
        return
    sys.stdout.write(measured(report, values))


def _queries(path: Path) -> dict[str, str]:
    """Query text by id; for plain lines, by line number."""
    from retrieval.eval.datasets import beir

    if path.suffix == ".jsonl":
        found = {query.id: query.text for query in beir.queries_of(path)}
    else:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); expected a file with one query per line"
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 ({error}); expected UTF-8 text") from None
        found = {str(number): line for number, line in enumerate(lines, 1) if line.strip()}
    for id, text in found.items():
        if not text.strip():
            raise InputError(f"{path}: query {id!r} has no text; give it one, or take it out")
    if not found:
        raise InputError(f"{path} holds no query; give at least one")
    return found


def _judged(path: Path) -> dict[str, dict[str, int]]:
    from retrieval.eval.datasets import beir

    qrels: dict[str, dict[str, int]] = {}
    for judgement in beir.judgements_of(path):
        qrels.setdefault(judgement.query, {})[judgement.document] = judgement.grade
    return qrels


def _check_documents(index: Index, qrels: Qrels, path: Path) -> None:
    """Refuse judgements of documents that are not in the index: all would count as missed."""
    ids = {id for grades in qrels.values() for id in grades}
    if all(index.get(id) is None for id in ids):
        raise InputError(
            f"{path} judges none of the documents in the index; expected their ids, "
            f"such as {min(ids)!r}, to be those of the index"
        )
