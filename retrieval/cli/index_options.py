"""The options of `retrieval index` that no other command has."""

from __future__ import annotations

from typing import Annotated

import typer

from retrieval.cli.options import EncodeOn

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH]...",
        help="Files and folders to index; all that the index was ever given, if not given. "
        "For a collection in shards also URLs, with * and ** in their paths.",
    ),
]
NewIndexPlace = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="DIR|URL",
        help="Folder of the index, or URL of a collection in shards; the nearest .retrieval "
        "here or above, within the repository, or a new one here, if not given.",
    ),
]
NewEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="SRC",
        help="Folder or Hub id of an encoder for a new index; the embedded one if not given.",
    ),
]
PassageTokens = Annotated[
    int | None,
    typer.Option(
        "--passage-tokens",
        metavar="N",
        min=1,
        help="Maximum passage length of a new index, in tokens; if not given, 256 or what the "
        "encoder reads if that is less.",
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        "--bits",
        metavar="N",
        help="Bits per component of a compressed token vector, 2 or 4; if not given, 4, and "
        "2 once there are some 8 million token vectors.",
    ),
]
Pooling = Annotated[
    int | None,
    typer.Option(
        "--pooling",
        metavar="N",
        help="Merge token vectors until one in N is left, and dense vectors in pairs, 1 to 4; "
        "1, which merges none, if not given.",
    ),
]
PoolingDistance = Annotated[
    float | None,
    typer.Option(
        "--pooling-distance",
        metavar="D",
        help="With --pooling: do not merge token vectors farther apart than this, up to 2; "
        "any distance if not given.",
    ),
]
Small = Annotated[
    bool,
    typer.Option(
        "--small",
        help="Make a small new index, in which late interaction finds less: --pooling 4, "
        "--pooling-distance 1.05, and --bits 2 from 1000 passages on.",
    ),
]
ExactPassages = Annotated[
    int | None,
    typer.Option(
        "--exact-passages",
        metavar="N",
        help="Passages up to which token vectors stay uncompressed; if not given, 6000, or "
        "1000 with --bits or --small.",
    ),
]
ListPassages = Annotated[
    int | None,
    typer.Option(
        "--list-passages",
        metavar="N",
        help="Passages beyond which inverted lists are used; 50000 if not given.",
    ),
]
LongContext = Annotated[
    bool | None,
    typer.Option(
        "--long-context",
        help="In a new index: read passages together with their neighbours; slower, and "
        "finds more in long prose.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Pattern of files to leave out, as in a .gitignore; may be repeated.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Pattern of files to index that would be left out; may be repeated.",
    ),
]
Hidden = Annotated[
    bool | None,
    typer.Option(
        "--hidden/--no-hidden", help="Index files and folders whose names begin with a dot."
    ),
]
Ignore = Annotated[
    bool | None,
    typer.Option("--ignore/--no-ignore", help="Whether to follow .gitignore and similar files."),
]
Archives = Annotated[
    bool | None,
    typer.Option(
        "--archives/--no-archives", help="Read the files in .zip, .tar.gz and other archives."
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        "--max-bytes", metavar="N", min=1, help="Leave out larger files; 64 MiB if not given."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Character encoding of all files."),
]
TextField = Annotated[
    str | None,
    typer.Option(
        "--text-field", metavar="NAME", help="Field of JSON records that holds their text."
    ),
]
Rows = Annotated[
    bool | None,
    typer.Option("--rows/--no-rows", help="Make a document of each row of a table file."),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="MODEL:FIELD",
        help="Classifier that labels documents, and the metadata field for its labels; may be "
        "repeated.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Change nothing; list what would be indexed, and what not and why."
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Keep running, and index changed files until Ctrl-C."),
]
Again = Annotated[
    bool, typer.Option("--again", help="Read all files again, even those that seem unchanged.")
]
Shared = Annotated[
    bool | None,
    typer.Option(
        "--shared/--private",
        help="Let other users read the index, as your umask allows; private if not given.",
    ),
]
Shards = Annotated[
    int | None,
    typer.Option(
        "--shards",
        metavar="N",
        min=1,
        help="For a new collection at a URL: number of shards to distribute documents over.",
    ),
]
ShardPassages = Annotated[
    int | None,
    typer.Option(
        "--shard-passages",
        metavar="N",
        min=1,
        help="For a new collection at a URL, instead of --shards: about how many passages "
        "a shard should have.",
    ),
]
EncodeWhere = Annotated[
    EncodeOn | None,
    typer.Option(
        "--encode-on",
        help="With --ray: where texts are encoded, in the tasks that write shards, or by "
        "actors on the cluster's GPUs; cpu if not given.",
        show_default=False,
    ),
]
