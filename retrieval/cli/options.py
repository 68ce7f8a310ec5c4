"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from retrieval.errors import InputError
from retrieval.service.location import folder_alone

DEFAULT_MEMORY = 1536
"""Megabytes that compressing token vectors may use."""


class RetrieverName(StrEnum):
    """The retriever that answers a query."""

    HYBRID = "hybrid"
    LEXICAL = "lexical"
    DENSE = "dense"
    LATE = "late"


class PartialAnswers(StrEnum):
    """What to do in a search if a shard is unavailable."""

    REFUSE = "refuse"
    ALLOW = "allow"


class EncodeOn(StrEnum):
    """Where texts are encoded when a Ray cluster builds."""

    CPU = "cpu"
    GPU = "gpu"


class GroupName(StrEnum):
    """What a hit stands for."""

    DOCUMENT = "document"
    PASSAGE = "passage"


def folder_given(value: str) -> Path:
    """The folder given in an option; errors are reported for that option."""
    try:
        return folder_alone(value)
    except InputError as error:  # a ValueError, whose message typer would not show
        raise typer.BadParameter(str(error)) from error


IndexFolder = Annotated[
    Path | None,
    typer.Option(
        "--index",
        parser=folder_given,
        metavar="DIR",
        help="Folder of the index; the nearest .retrieval in this folder or one above it if not "
        "given.",
    ),
]
IndexPlace = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="DIR|URL",
        help="Folder of the index, or URL of a collection in shards; the nearest .retrieval in "
        "this folder or one above it if not given.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="Only documents that fulfil this, as in 'path glob \"src/**\"'; given more than once, "
        "all of them.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Memory = Annotated[
    int,
    typer.Option(
        "--memory", metavar="MB", min=64, help="Memory that compressing token vectors may use."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Number of processes that write shards of a collection at a URL; 1 if not given.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Write a collection at a URL on this Ray cluster, host:port; local starts one here.",
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


def filter_given(where: Sequence[str] | None) -> str | None:
    """One filter of all that were given; raises FilterError if one of several cannot be read."""
    if where is None or len(where) < 2:
        return where[0] if where else None
    from retrieval.indexes import as_filter

    # Each is read by itself first: an error is to count columns in what was typed.
    return " and ".join(f"({one})" for one in where if as_filter(one) is not None)


def check_for_shards(given: Mapping[str, object]) -> None:
    """InputError if one of these options was given, though the index is a folder."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is for a collection in shards; name its URL with --index")
