"""`retrieval search`: the hits of a query, and on demand what its tokens matched."""

from __future__ import annotations

import sys
from pathlib import Path

from retrieval.cli import render
from retrieval.cli.json_output import plain_value, print_json
from retrieval.cli.style import Style
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import Retriever


def run_search(
    query: str,
    folder: Path,
    *,
    k: int,
    retriever: Retriever,
    where: str | None,
    explain: bool,
    rescore: int,
    encoder: str | None,
    as_json: bool,
) -> None:
    """Search the index at `folder` and print the hits.

    Args:
        explain: whether to add what each token of the query matched; of late interaction only.
        rescore: how many of the best are encoded again; of late interaction only.
        encoder: where the encoder is; None is where it was when the index was built.
    """
    if explain and retriever not in ("late", "hybrid"):
        raise InputError(
            f"--explain shows what late interaction matched, which {retriever!r} does not use; "
            "search with --retriever late or hybrid"
        )
    with Index.open(folder, encoder=encoder) as index:
        found = index.search(query, k, retriever=retriever, where=where, rescore=rescore)
        matches = index.explain(query, found) if explain else None
    if as_json:
        hits = plain_value(found)
        for hit, pairs in zip(hits, matches or [], strict=False):
            hit["explain"] = plain_value(pairs)
        print_json(hits)
        return
    if not found:
        sys.stderr.write("nothing found\n")
    sys.stdout.write(render.hits(found, folder, Style.of(sys.stdout), matches))
