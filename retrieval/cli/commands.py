"""The commands and their options. What they do is done elsewhere and imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from retrieval import __version__
from retrieval.cli.eval_commands import evaluations
from retrieval.cli.model_commands import models
from retrieval.cli.train_commands import train
from retrieval.service import location


class HeldError(Exception):
    """Carries an error past typer, which would end the process over it in words of its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Commands(TyperGroup):
    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the command line; `--help` is answered here."""
        with _holding():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with _holding():
            return super().invoke(ctx)


@contextmanager
def _holding() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyboardInterrupt) as error:
        raise HeldError(error) from error


class RetrieverName(StrEnum):
    """Who answers a query."""

    HYBRID = "hybrid"
    LEXICAL = "lexical"
    DENSE = "dense"
    LATE = "late"


app = typer.Typer(
    cls=_Commands,
    help="Index a folder, search it: lexical, dense and late-interaction retrieval, fused.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models, name="model")
app.add_typer(evaluations, name="eval")

_NEAREST = "the nearest .retrieval in this folder or one above it"
_INDEX_HELP = f"Folder of the index; {_NEAREST} if not given."
IndexFolder = Annotated[Path | None, typer.Option("--index", metavar="DIR", help=_INDEX_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DEFAULT_MEMORY = 2048
Memory = Annotated[
    int,
    typer.Option(
        "--memory", metavar="MB", min=64, help="Memory that compressing token vectors may take."
    ),
]
EncoderSource = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="SRC",
        help="Folder or Hub id of the encoder; the one the index was built with if not given.",
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"retrieval {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")


@app.command(short_help="Index files and folders.")
def index(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files and folders to index.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--index", metavar="DIR", help="Folder of the index; .retrieval if not given."
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="SRC",
            help="Folder or Hub id of an encoder for a new index; the embedded one if not given.",
        ),
    ] = None,
    passage_tokens: Annotated[
        int | None,
        typer.Option(
            "--passage-tokens",
            metavar="N",
            min=1,
            help="Longest passage of a new index, in tokens; 256 if not given.",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            metavar="N",
            help="Bits of a component of a compressed token vector: 2 or 4; 4 if not given.",
        ),
    ] = None,
    pooling: Annotated[
        int | None,
        typer.Option(
            "--pooling",
            metavar="N",
            help="Merge token vectors until one in N is left, 1 to 4; 1 if not given.",
        ),
    ] = None,
    exact_passages: Annotated[
        int | None,
        typer.Option(
            "--exact-passages",
            metavar="N",
            help="Passages up to which token vectors stay uncompressed; 10000 if not given.",
        ),
    ] = None,
    list_passages: Annotated[
        int | None,
        typer.Option(
            "--list-passages",
            metavar="N",
            help="Passages beyond which inverted lists are used; 50000 if not given.",
        ),
    ] = None,
    memory: Memory = DEFAULT_MEMORY,
    as_json: AsJson = False,
) -> None:
    """Index files and folders: read what is new or changed, forget what is gone.

    Makes the index if there is none. Run it again at any time, also after Ctrl-C: it goes on from
    what is committed.
    """
    from retrieval.cli.indexing import run_index

    run_index(
        paths,
        location.index_to_write(folder),
        encoder=encoder,
        passage_tokens=passage_tokens,
        late={
            "bits": bits,
            "pooling": pooling,
            "exact_passages": exact_passages,
            "list_passages": list_passages,
        },
        memory=memory << 20,
        as_json=as_json,
    )


@app.command(short_help="Search an index.")
def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="What to look for; - reads it from standard input."),
    ],
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many hits.")] = 10,
    retriever: Annotated[
        RetrieverName, typer.Option("--retriever", help="Who answers; hybrid fuses the others.")
    ] = RetrieverName.HYBRID,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="EXPR",
            help="Search only documents that fulfil this, as in 'path glob \"src/**\"'.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what each token of the query matched best."),
    ] = False,
    rescore: Annotated[
        int,
        typer.Option(
            "--rescore",
            metavar="N",
            min=0,
            help="With --retriever late: encode the N best again, order them uncompressed.",
        ),
    ] = 0,
    folder: IndexFolder = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Search an index; best hits first, each with its place, score and the lines that match."""
    from retrieval.cli.searching import run_search

    run_search(
        sys.stdin.read() if query == ["-"] else " ".join(query),
        location.index_to_read(folder),
        k=k,
        retriever=retriever.value,
        where=where,
        explain=explain,
        rescore=rescore,
        encoder=encoder,
        as_json=as_json,
    )


@app.command()
def status(
    folder: IndexFolder = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Read every file and compare checksums; exit 1 if any fails."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an index holds."""
    from retrieval.cli.inspection import run_status

    if not run_status(location.index_to_read(folder), verify=verify, as_json=as_json):
        raise typer.Exit(1)


@app.command(short_help="Measure what approximation costs.")
def measure(
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries",
            metavar="FILE",
            help="Queries: one a line, or .jsonl as in BEIR; drawn from the passages if not given.",
        ),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option("--qrels", metavar="FILE", help="Judgements of the queries, as in BEIR."),
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many hits count.")] = 10,
    sample: Annotated[
        int,
        typer.Option("--sample", metavar="N", min=1, help="How many queries are drawn."),
    ] = 100,
    folder: IndexFolder = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Measure what late interaction misses and takes on your own passages, next to exact search."""
    from retrieval.cli.measuring import run_measure

    run_measure(
        location.index_to_read(folder),
        queries=queries,
        qrels=qrels,
        k=k,
        sample=sample,
        encoder=encoder,
        as_json=as_json,
    )


@app.command(short_help="Delete documents from an index.")
def delete(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of documents.")],
    folder: IndexFolder = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents from an index; the files they came from stay."""
    from retrieval.cli import render
    from retrieval.index import Index

    with Index.open(location.index_to_read(folder)) as opened:
        unknown = [id for id in dict.fromkeys(ids) if opened.get(id) is None]
        deleted = opened.delete(ids)
    if as_json:
        _print_json({"deleted": deleted, "unknown": unknown})
    else:
        sys.stdout.write(f"{render.count(deleted, 'document')} deleted\n")
        if unknown:
            sys.stderr.write(render.listing("not in the index:", unknown))
    if unknown:
        raise typer.Exit(1)


@app.command(short_help="Merge segments, free space.")
def compact(
    folder: IndexFolder = None, memory: Memory = DEFAULT_MEMORY, as_json: AsJson = False
) -> None:
    """Merge an index's segments and give the space of deleted passages back."""
    from retrieval.cli import render
    from retrieval.cli.progress import compacting_bar
    from retrieval.index import Index

    with (
        Index.open(location.index_to_read(folder), memory=memory << 20) as opened,
        compacting_bar() as bar,
    ):
        report = opened.compact(compressing=bar)
    if as_json:
        _print_json(report)
    else:
        sys.stdout.write(render.compacted(report))


app.command("train", short_help="Train a model further on your own data.")(train)


def _print_json(value: Any) -> None:
    from retrieval.cli.json_output import print_json

    print_json(value)
