"""`retrieval compact`: merging segments, freeing space."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from retrieval.cli.options import (
    DEFAULT_MEMORY,
    AsJson,
    IndexPlace,
    Memory,
    RayAddress,
    Workers,
    check_for_shards,
)
from retrieval.cli.program import app


@app.command(short_help="Merge segments, free space.")
def compact(
    folder: IndexPlace = None,
    workers: Workers = 1,
    ray: RayAddress = None,
    memory: Memory = DEFAULT_MEMORY,
    as_json: AsJson = False,
) -> None:
    """Merge an index's segments and free the space of deleted passages.

    For a collection in shards, do so shard by shard, and delete objects from its storage that no
    generation has needed for a week.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import compacted
    from retrieval.files.places import is_url
    from retrieval.index import Index
    from retrieval.malloc import map_large_blocks
    from retrieval.service.location import folder_of, index_to_read

    map_large_blocks()
    if folder is not None and is_url(folder):
        run_by = {"workers": workers, "ray": ray, "memory": memory << 20}
        _compact_collection(folder, run_by, as_json=as_json)
        return
    check_for_shards({"--ray": ray, "--workers": None if workers == 1 else workers})
    with (
        Index.open(index_to_read(folder_of(folder)), memory=memory << 20) as opened,
        progress_bar("merging segments") as bar,
    ):
        report = opened.compact(progress=bar)
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(compacted(report))


def _compact_collection(url: str, run_by: Mapping[str, Any], *, as_json: bool) -> None:
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import cleared
    from retrieval.service.collections import compact as compact_collection
    from retrieval.types import ProgressUpdate

    with progress_bar("merging segments") as bar:
        report = compact_collection(
            url,
            progress=lambda done, total: bar(ProgressUpdate("writing", done, total, "shards")),
            **run_by,
        )
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(cleared(report, url))
