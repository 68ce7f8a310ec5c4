"""`retrieval eval run`: systems run on test collections, and reported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.commands.eval.group import RUN, evaluations
from retrieval.cli.options import AsJson
from retrieval.errors import InputError
from retrieval.types import RETRIEVERS, Retriever

if TYPE_CHECKING:
    from retrieval.eval.results import Results
    from retrieval.eval.systems import System

NONE = "none"


@evaluations.command(RUN, short_help="Run systems on test collections; `run` may be left out.")
def run(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...",
            help="Folders of collections, or names such as beir/scifact or mteb:NanoBEIR.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the results; made if need be.")
    ],
    retriever: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever",
            metavar="NAME",
            help="lexical, dense, late, hybrid, or none; may be repeated. All four if not given.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            metavar="SPEC",
            help="Also bm25s, st:NAME, encoder:NAME, index:PLACE, run:FILE, or a variant such as "
            "late:bits=2; may be repeated.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", help="Split of the judgements; test if not given."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="Measure in ir-measures' notation, such as nDCG@10 or R@100; may be repeated. The "
            "seven usual ones if not given.",
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", metavar="N", min=1, help="How many documents for each query.")
    ] = 100,
    queries: Annotated[
        int | None,
        typer.Option(
            "--queries", metavar="N", min=1, help="Ask at most N of each collection's queries."
        ),
    ] = None,
    ignore_identical_ids: Annotated[
        bool | None,
        typer.Option(
            "--ignore-identical-ids/--keep-identical-ids",
            help="Drop a document that has the query's own id from its ranking, as BEIR does. By "
            "default where queries are documents, judging by id and words.",
        ),
    ] = None,
    no_texts: Annotated[
        bool,
        typer.Option("--no-texts", help="Store no texts of the collections in the results."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run systems on test collections and write results, runs and a report into a folder.

    Results of MTEB's tasks are also written in MTEB's format.

    Run it again after Ctrl-C: it continues where it stopped.
    """
    from retrieval.cli.output.evaluation import results_table, warnings_and_failures
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.style import Style
    from retrieval.eval import evaluate, make_systems
    from retrieval.eval.measures import MEASURES, check_measures
    from retrieval.eval.plural import plural
    from retrieval.eval.report import write_report
    from retrieval.service.printable import safe

    asked = list(dict.fromkeys(measure or MEASURES))
    check_measures(asked)  # before an encoder is loaded
    chosen = make_systems(_retrievers(retriever), system or [])
    with progress_bar("reading the collections") as bar:
        results = evaluate(
            datasets,
            chosen,
            out,
            split=split,
            measures=asked,
            k=k,
            queries=queries,
            ignore_identical_ids=ignore_identical_ids,
            keep_texts=not no_texts,
            progress=bar,
        )
    write_report(out, results, texts=not no_texts)
    published = _for_mteb(out, datasets, chosen, results)
    if as_json:
        print_json(_document(results, out))
    else:
        style = Style.of(sys.stdout)
        sys.stdout.write(results_table(results, style))
        sys.stdout.write(f"\nreport: {safe(str(out / 'report.html'))}\n")
        if published:
            files = plural(len(published), "result", "results")
            sys.stdout.write(f"in MTEB's format: {files} in {safe(str(out / 'mteb'))}\n")
        sys.stderr.write(warnings_and_failures(results))
    if results.failed:
        raise typer.Exit(1)


def _for_mteb(
    out: Path, datasets: Sequence[str], systems: Sequence[System], results: Results
) -> list[Path]:
    from retrieval.eval.datasets.from_mteb import is_mteb

    if not any(map(is_mteb, datasets)):
        return []
    from retrieval.integrations.mteb import write_results

    return write_results(out, datasets, systems, results)


def _document(results: Results, out: Path) -> object:
    from retrieval.service.json_shape import plain_value

    facts = plain_value(results)
    del facts["per_query"]  # large, and in the folder anyway
    return facts | {"out": str(out)}


def _retrievers(given: Sequence[str] | None) -> list[Retriever]:
    if not given:
        return list(RETRIEVERS)
    if list(given) == [NONE]:
        return []
    unknown = next((name for name in given if name not in RETRIEVERS), None)
    if unknown is not None:
        raise InputError(
            f"retriever {unknown!r} is unknown; choose from {', '.join(RETRIEVERS)}, or none alone"
        )
    return [name for name in RETRIEVERS if name in given]
