"""`retrieval compact`: segments merged, space given back."""

from __future__ import annotations

import sys

from retrieval.cli.options import DEFAULT_MEMORY, AsJson, IndexPlace, Memory
from retrieval.cli.program import app


@app.command(short_help="Merge segments, free space.")
def compact(
    folder: IndexPlace = None, memory: Memory = DEFAULT_MEMORY, as_json: AsJson = False
) -> None:
    """Merge an index's segments and give the space of deleted passages back.

    Of a collection in shards, delete from its storage what no generation needs, after a week.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import compacted
    from retrieval.index import Index
    from retrieval.service.location import folder_of, index_to_read, is_url

    if folder is not None and is_url(folder):
        _compact_collection(folder, as_json=as_json)
        return
    with (
        Index.open(index_to_read(folder_of(folder)), memory=memory << 20) as opened,
        progress_bar("merging segments") as bar,
    ):
        report = opened.compact(progress=bar)
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(compacted(report))


def _compact_collection(url: str, *, as_json: bool) -> None:
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.reports import cleared
    from retrieval.sharded import ShardedIndex

    with ShardedIndex.open(url) as opened:
        report = opened.compact()
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(cleared(report, url))
