"""`retrieval compact`: segments merged, space given back."""

from __future__ import annotations

import sys

from retrieval.cli.options import DEFAULT_MEMORY, AsJson, IndexFolder, Memory
from retrieval.cli.program import app


@app.command(short_help="Merge segments, free space.")
def compact(
    folder: IndexFolder = None, memory: Memory = DEFAULT_MEMORY, as_json: AsJson = False
) -> None:
    """Merge an index's segments and give the space of deleted passages back."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import compacted
    from retrieval.index import Index
    from retrieval.service.location import index_to_read

    with (
        Index.open(index_to_read(folder), memory=memory << 20) as opened,
        progress_bar("merging segments") as bar,
    ):
        report = opened.compact(progress=bar)
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(compacted(report))
