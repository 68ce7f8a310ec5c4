"""`retrieval index`: make the index if need be, bring it up to date, say what happened."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval.cli import render
from retrieval.cli.json_output import plain_value, print_json
from retrieval.cli.progress import indexing_bar
from retrieval.errors import IndexNotFound, InputError
from retrieval.index import Index, IndexStatus
from retrieval.sync import SyncReport, sync
from retrieval.types import LateOptions

PASSAGE_TOKENS = 256
"""Longest passage of an index whose maker did not say."""


def run_index(
    paths: Sequence[Path],
    folder: Path,
    *,
    encoder: str | None,
    passage_tokens: int | None,
    late: Mapping[str, int | None],
    memory: int,
    as_json: bool,
) -> None:
    """Index `paths` into the index at `folder` and print the report.

    Args:
        passage_tokens: None is 256, or what the index has.
        late: fields of LateOptions by name; None is the default, or what the index has.
        memory: bytes that compressing token vectors may take.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:  # before an index is made that nothing goes into
        raise InputError(f"{missing[0]} does not exist; name a file or a folder that does")
    with _opened(folder, encoder, passage_tokens, late, memory) as index, indexing_bar() as bar:
        report = sync(index, paths, progress=bar)
    if as_json:
        print_json({"index": str(folder)} | plain_value(report))
        return
    _print(report, paths, folder)


def _opened(
    folder: Path,
    encoder: str | None,
    passage_tokens: int | None,
    late: Mapping[str, int | None],
    memory: int,
) -> Index:
    given: Any = {name: value for name, value in late.items() if value is not None}
    try:
        index = Index.open(folder, encoder=encoder, memory=memory)
    except IndexNotFound:
        length = PASSAGE_TOKENS if passage_tokens is None else passage_tokens
        options = LateOptions(**given)
        return Index.create(
            folder, encoder=encoder, passage_tokens=length, late=options, memory=memory
        )
    try:
        status = index.status()
        replace(status.late, **given)  # a value that no index has is refused as such
        _check_fixed(folder, status, passage_tokens, given)
    except BaseException:
        index.close()
        raise
    return index


def _check_fixed(
    folder: Path, status: IndexStatus, passage_tokens: int | None, late: Mapping[str, int]
) -> None:
    """Refuse what an index was not made with."""
    if passage_tokens not in (None, status.passage_tokens):
        raise InputError(
            f"the index at {folder} has passages of {status.passage_tokens} tokens, "
            f"not {passage_tokens}; leave --passage-tokens out, or make a new index"
        )
    for name, value in late.items():
        built_with = getattr(status.late, name)
        if value != built_with:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"the index at {folder} was made with {option} {built_with}, not {value}; "
                f"leave {option} out, or make a new index"
            )


def _print(report: SyncReport, paths: Sequence[Path], folder: Path) -> None:
    sys.stdout.write(render.synced(report, folder))
    sys.stdout.flush()
    if not (report.added or report.updated or report.unchanged):
        names = ", ".join(str(path) for path in paths)
        sys.stderr.write(f"no file to index in {names}; name a folder that holds text\n")
    if report.skipped:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in report.skipped.items())
        sys.stderr.write(f"skipped: {reasons}\n")
    if report.problems:
        sys.stderr.write(render.listing("problems:", report.problems))
