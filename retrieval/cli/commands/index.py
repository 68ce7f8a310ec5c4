"""`retrieval index`: creating an index, or bringing it up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli import indexing
from retrieval.cli.options import (
    DEFAULT_MEMORY,
    AsJson,
    EncodeOn,
    Memory,
    RayAddress,
    Workers,
    check_for_shards,
)
from retrieval.cli.program import app

if TYPE_CHECKING:
    from retrieval.documents import LeftOut


@app.command(short_help="Index files and folders.")
def index(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files and folders to index; all that the index was ever given, if not given. "
            "For a collection in shards also URLs, with * and ** in their paths.",
        ),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="DIR|URL",
            help="Folder of the index, or URL of a collection in shards; the nearest .retrieval "
            "here or above, within the repository, or a new one here, if not given.",
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
            help="Maximum passage length of a new index, in tokens; if not given, 256 or what the "
            "encoder reads if that is less.",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            metavar="N",
            help="Bits per component of a compressed token vector, 2 or 4; if not given, 4, and "
            "2 once there are some 8 million token vectors.",
        ),
    ] = None,
    pooling: Annotated[
        int | None,
        typer.Option(
            "--pooling",
            metavar="N",
            help="Merge token vectors until one in N is left, and dense vectors in pairs, 1 to 4; "
            "1, which merges none, if not given.",
        ),
    ] = None,
    pooling_distance: Annotated[
        float | None,
        typer.Option(
            "--pooling-distance",
            metavar="D",
            help="With --pooling: do not merge token vectors farther apart than this, up to 2; "
            "any distance if not given.",
        ),
    ] = None,
    small: Annotated[
        bool,
        typer.Option(
            "--small",
            help="Make a small new index, in which late interaction finds less: --pooling 4, "
            "--pooling-distance 1.05, and --bits 2 from 1000 passages on.",
        ),
    ] = False,
    exact_passages: Annotated[
        int | None,
        typer.Option(
            "--exact-passages",
            metavar="N",
            help="Passages up to which token vectors stay uncompressed; if not given, 6000, or "
            "1000 with --bits or --small.",
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
    long_context: Annotated[
        bool | None,
        typer.Option(
            "--long-context",
            help="In a new index: read passages together with their neighbours; slower, and "
            "finds more in long prose.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="GLOB",
            help="Pattern of files to leave out, as in a .gitignore; may be repeated.",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            help="Pattern of files to index that would be left out; may be repeated.",
        ),
    ] = None,
    hidden: Annotated[
        bool | None,
        typer.Option(
            "--hidden/--no-hidden", help="Index files and folders whose names begin with a dot."
        ),
    ] = None,
    ignore: Annotated[
        bool | None,
        typer.Option(
            "--ignore/--no-ignore", help="Whether to follow .gitignore and similar files."
        ),
    ] = None,
    archives: Annotated[
        bool | None,
        typer.Option(
            "--archives/--no-archives", help="Read the files in .zip, .tar.gz and other archives."
        ),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            "--max-bytes", metavar="N", min=1, help="Leave out larger files; 64 MiB if not given."
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", metavar="NAME", help="Character encoding of all files."),
    ] = None,
    text_field: Annotated[
        str | None,
        typer.Option(
            "--text-field", metavar="NAME", help="Field of JSON records that holds their text."
        ),
    ] = None,
    rows: Annotated[
        bool | None,
        typer.Option("--rows/--no-rows", help="Make a document of each row of a table file."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="MODEL:FIELD",
            help="Classifier that labels documents, and the metadata field for its labels; may be "
            "repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Change nothing; list what would be indexed, and what not and why."
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep running, and index changed files until Ctrl-C."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Read all files again, even those that seem unchanged.")
    ] = False,
    shared: Annotated[
        bool | None,
        typer.Option(
            "--shared/--private",
            help="Let other users read the index, as your umask allows; private if not given.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            help="For a new collection at a URL: number of shards to distribute documents over.",
        ),
    ] = None,
    shard_passages: Annotated[
        int | None,
        typer.Option(
            "--shard-passages",
            metavar="N",
            min=1,
            help="For a new collection at a URL, instead of --shards: about how many passages "
            "a shard should have.",
        ),
    ] = None,
    workers: Workers = 1,
    ray: RayAddress = None,
    encode_on: Annotated[
        EncodeOn | None,
        typer.Option(
            "--encode-on",
            help="With --ray: where texts are encoded, in the tasks that write shards, or by "
            "actors on the cluster's GPUs; cpu if not given.",
            show_default=False,
        ),
    ] = None,
    memory: Memory = DEFAULT_MEMORY,
    as_json: AsJson = False,
) -> None:
    """Index files and folders: read what is new or changed, drop what is gone.

    Creates the index if there is none. Run it again at any time, even after Ctrl-C: it continues
    from what is committed. It remembers the files and folders that it was given.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.errors import InputError
    from retrieval.files.places import is_url
    from retrieval.malloc import map_large_blocks
    from retrieval.service import location, updating
    from retrieval.service.json_shape import report_as_dict
    from retrieval.service.opening import is_index, not_left_empty, open_or_create

    map_large_blocks()
    url = folder if is_url(folder) else None
    given = updating.Given(
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
    late = {
        "bits": bits,
        "pooling": pooling,
        "pooling_distance": pooling_distance,
        "exact_passages": exact_passages,
        "list_passages": list_passages,
    }
    if url is not None:
        lacking = {"--label": label, "--dry-run": dry_run, "--watch": watch, "--again": again}
        for name, value in (lacking | {"--shared": shared}).items():
            if value:
                raise InputError(f"{name} cannot be used for a collection in shards; leave it out")
        if shards is not None and shard_passages is not None:
            raise InputError("--shards and --shard-passages exclude each other; give one of them")
        from retrieval.service.collections import MadeWith

        made_with = MadeWith(
            shards=shards,
            shard_passages=shard_passages,
            encoder=encoder,
            passage_tokens=passage_tokens,
            late=late,
            small=small,
            long_context=long_context,
        )
        on_gpus = encode_on is EncodeOn.GPU
        run_by = {"workers": workers, "ray": ray, "on_gpus": on_gpus, "memory": memory << 20}
        indexing.index_collection(url, sources or [], given, made_with, run_by, as_json=as_json)
        return
    of_shards = {"--shards": shards, "--shard-passages": shard_passages, "--ray": ray}
    of_shards |= {"--workers": None if workers == 1 else workers, "--encode-on": encode_on}
    check_for_shards(of_shards)
    for source in sources or ():
        if is_url(source):
            raise InputError(
                f"{source} is a URL, which only a collection in shards can read; name one with "
                "--index, or copy the files here"
            )
    named = [Path(source) for source in sources or ()]
    chosen = location.folder_of(folder)
    if named:
        place = location.index_to_write(chosen, updating.holds)
    else:
        place = location.index_to_read(chosen)
    if not is_index(place):
        updating.check_paths(place, named)
    if folder is None and location.is_elsewhere(place):
        sys.stderr.write(f"index: {place} (--index {location.FOLDER} for one in this folder)\n")
    if dry_run and watch:
        raise InputError("--dry-run and --watch exclude each other; give one of them")
    if dry_run:
        indexing.show_preview(place, named, given, as_json=as_json)
        return
    left_out: list[LeftOut] = []
    with (
        not_left_empty(place),
        open_or_create(
            place,
            encoder=encoder,
            passage_tokens=passage_tokens,
            late=late,
            small=small,
            long_context=long_context,
            memory=memory << 20,
            shared=shared,
        ) as opened,
        indexing.telling_what_is_kept(opened),
    ):
        with progress_bar("looking for changes") as progress:
            report = updating.update(
                opened,
                named,
                given,
                again=again,
                progress=progress,
                on_left_out=left_out.append if as_json else None,
            )
        if not watch:
            indexing.check_read(report, named, place, len(opened))
        if as_json:
            print_json(report_as_dict(report, place, left_out), whole=not watch)
        else:
            indexing.show_report(report, named, place, len(opened))
        if watch:
            indexing.follow(opened, place, as_json=as_json)
