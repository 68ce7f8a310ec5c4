"""`retrieval index`: creating an index, or bringing it up to date."""

from __future__ import annotations

from typing import Any

from retrieval.cli import index_options, indexing, options
from retrieval.cli.program import app


@app.command(short_help="Index files and folders.")
def index(
    sources: index_options.Sources = None,
    folder: index_options.NewIndexPlace = None,
    encoder: index_options.NewEncoder = None,
    passage_tokens: index_options.PassageTokens = None,
    bits: index_options.Bits = None,
    pooling: index_options.Pooling = None,
    pooling_distance: index_options.PoolingDistance = None,
    small: index_options.Small = False,
    exact_passages: index_options.ExactPassages = None,
    list_passages: index_options.ListPassages = None,
    long_context: index_options.LongContext = None,
    exclude: index_options.Exclude = None,
    include: index_options.Include = None,
    hidden: index_options.Hidden = None,
    ignore: index_options.Ignore = None,
    archives: index_options.Archives = None,
    max_bytes: index_options.MaxBytes = None,
    encoding: index_options.Encoding = None,
    text_field: index_options.TextField = None,
    rows: index_options.Rows = None,
    label: index_options.Label = None,
    dry_run: index_options.DryRun = False,
    watch: index_options.Watch = False,
    again: index_options.Again = False,
    shared: index_options.Shared = None,
    shards: index_options.Shards = None,
    shard_passages: index_options.ShardPassages = None,
    workers: options.Workers = 1,
    ray: options.RayAddress = None,
    encode_on: index_options.EncodeWhere = None,
    memory: options.Memory = options.DEFAULT_MEMORY,
    as_json: options.AsJson = False,
) -> None:
    """Index files and folders: read what is new or changed, drop what is gone.

    Creates the index if there is none. Run it again at any time, even after Ctrl-C: it continues
    from what is committed. It remembers the files and folders that it was given.
    """
    from retrieval.errors import InputError
    from retrieval.files.places import is_url
    from retrieval.malloc import map_large_blocks
    from retrieval.service.updating import Given

    map_large_blocks()
    given = Given(
        exclude=exclude,
        include=include,
        hidden=hidden,
        no_ignore=None if ignore is None else not ignore,
        archives=archives,
        max_bytes=max_bytes,
        encoding=encoding,
        text_field=text_field,
        rows=rows,
        label=label,
    )
    made_with: dict[str, Any] = {
        "encoder": encoder,
        "passage_tokens": passage_tokens,
        "late": {
            "bits": bits,
            "pooling": pooling,
            "pooling_distance": pooling_distance,
            "exact_passages": exact_passages,
            "list_passages": list_passages,
        },
        "small": small,
        "long_context": long_context,
    }
    if folder is not None and is_url(folder):
        of_folder = {"--label": label, "--dry-run": dry_run, "--watch": watch, "--again": again}
        for name, value in (of_folder | {"--shared": shared}).items():
            if value:
                raise InputError(f"{name} cannot be used for a collection in shards; leave it out")
        if shards is not None and shard_passages is not None:
            raise InputError("--shards and --shard-passages exclude each other; give one of them")
        from retrieval.service.collections import MadeWith

        indexing.index_collection(
            folder,
            sources or [],
            given,
            MadeWith(shards=shards, shard_passages=shard_passages, **made_with),
            {
                "workers": workers,
                "ray": ray,
                "on_gpus": encode_on is options.EncodeOn.GPU,
                "memory": memory << 20,
            },
            as_json=as_json,
        )
        return
    of_shards = {"--shards": shards, "--shard-passages": shard_passages, "--ray": ray}
    of_shards |= {"--workers": None if workers == 1 else workers, "--encode-on": encode_on}
    options.check_for_shards(of_shards)
    if dry_run and watch:
        raise InputError("--dry-run and --watch exclude each other; give one of them")
    indexing.index_folder(
        folder,
        sources or [],
        given,
        made_with | {"memory": memory << 20, "shared": shared},
        mode="preview" if dry_run else "follow" if watch else "once",
        again=again,
        as_json=as_json,
    )
