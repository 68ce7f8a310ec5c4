"""What `retrieval index` does and prints, once the options are parsed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from retrieval.documents import LeftOut
    from retrieval.index import Index
    from retrieval.service.collections import MadeWith
    from retrieval.service.updating import Given
    from retrieval.sync import SyncReport


def index_folder(
    chosen: str | None,
    sources: Sequence[str],
    given: Given,
    made_with: Mapping[str, Any],
    *,
    mode: Literal["once", "follow", "preview"],
    again: bool,
    as_json: bool,
) -> None:
    """Create an index in a folder, or bring it up to date, and show what was read.

    Args:
        chosen: the folder that `--index` names.
        sources: what is to be indexed; all that the index was ever given, if empty.
        given: how files are chosen and read.
        made_with: arguments of `open_or_create`.
        mode: whether to go on when files change, or only to show what would be done.
        again: whether to read unchanged files too.
        as_json: whether to print JSON.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.errors import InputError
    from retrieval.files.places import is_url
    from retrieval.service import location, updating
    from retrieval.service.json_shape import report_as_dict
    from retrieval.service.opening import is_index, not_left_empty, open_or_create

    for source in sources:
        if is_url(source):
            raise InputError(
                f"{source} is a URL, which only a collection in shards can read; name one with "
                "--index, or copy the files here"
            )
    named = [Path(source) for source in sources]
    folder = location.folder_of(chosen)
    if named:
        place = location.index_to_write(folder, updating.holds)
    else:
        place = location.index_to_read(folder)
    if not is_index(place):
        updating.check_paths(place, named)
    if chosen is None and location.is_elsewhere(place):
        sys.stderr.write(f"index: {place} (--index {location.FOLDER} for one in this folder)\n")
    if mode == "preview":
        show_preview(place, named, given, as_json=as_json)
        return
    left_out: list[LeftOut] = []
    with (
        not_left_empty(place),
        open_or_create(place, **made_with) as opened,
        telling_what_is_kept(opened),
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
        if mode == "once":
            check_read(report, named, place, len(opened))
        if as_json:
            print_json(report_as_dict(report, place, left_out), whole=mode == "once")
        else:
            show_report(report, named, place, len(opened))
        if mode == "follow":
            follow(opened, place, as_json=as_json)


def index_collection(
    url: str,
    sources: Sequence[str],
    given: Given,
    made_with: MadeWith,
    run_by: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Create a collection in shards, or bring it up to date, and show what was read."""
    from retrieval.cli.output.amounts import listing
    from retrieval.cli.output.files import left_out
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import built
    from retrieval.service.collections import update
    from retrieval.service.json_shape import left_out_as_dict, plain_value
    from retrieval.service.location import FOLDER
    from retrieval.types import ProgressUpdate

    stayed_out: list[LeftOut] = []
    with progress_bar("reading") as bar:
        found = update(
            url,
            sources,
            given,
            made_with,
            progress=lambda done, total: bar(ProgressUpdate("writing", done, total, "shards")),
            on_left_out=stayed_out.append if as_json else None,
            **run_by,
        )
    if as_json:
        facts = plain_value(found.report) | plain_value(found)  # the latter's problems are complete
        facts["left_out_files"] = [left_out_as_dict(one) for one in stayed_out]
        del facts["report"]
        print_json({"index": url} | facts)
        return
    sys.stdout.write(built(found.report, url))
    sys.stdout.flush()
    listed_by = "`retrieval index PATH --dry-run` without --index"
    sys.stderr.write(left_out(found.left_out, Path(FOLDER), listed_by))
    if found.problems:
        sys.stderr.write(listing("problems:", found.problems))


@contextmanager
def telling_what_is_kept(index: Index) -> Iterator[None]:
    """Let Ctrl-C within the block say how many documents the index holds."""
    try:
        yield
    except KeyboardInterrupt as error:
        with suppress(RetrievalError, OSError):  # the interrupt is what is to be told
            try:
                error.args = (_held(index),)
            except KeyboardInterrupt:  # the same once more, where a library swallowed it at first
                error.args = (_held(index),)
        raise


def _held(index: Index) -> str:
    from retrieval.cli.output.amounts import count

    index.refresh()
    documents = len(index)
    return f"the index holds {count(documents, 'document') if documents else 'no document yet'}"


def follow(index: Index, place: Path, *, as_json: bool) -> None:
    """Bring an index up to date whenever its files change, until Ctrl-C."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.cli.output.reports import synced
    from retrieval.service import updating
    from retrieval.service.json_shape import report_as_dict
    from retrieval.service.location import shown_problem
    from retrieval.service.printable import safe
    from retrieval.service.watching import watch

    told: list[str] = []

    def update() -> None:
        with progress_bar("looking for changes") as progress:
            report = updating.update(index, progress=progress)
        if as_json:
            if report.changed:
                print_json(report_as_dict(report, place), whole=False)
        elif report.changed:
            sys.stdout.write(synced(report, place))
        sys.stdout.flush()
        for problem in report.problems:
            if problem not in told:
                sys.stderr.write(f"{safe(shown_problem(place, problem))}\n")
        told[:] = report.problems

    sys.stdout.flush()
    sys.stderr.write("watching for changes; Ctrl-C stops it\n")
    watch(index, update, on_locked=lambda error: sys.stderr.write(f"{safe(str(error))}\n"))


def show_preview(place: Path, paths: Sequence[Path], given: Given, *, as_json: bool) -> None:
    """Show what would be indexed, and what not and why, without changing anything."""
    from retrieval.cli.output.files import advised, previewed, ways_in, wrong
    from retrieval.cli.output.json_output import print_json
    from retrieval.service.json_shape import preview_as_dict
    from retrieval.service.preview import preview

    found = preview(place, paths, given)
    if as_json:
        print_json(preview_as_dict(found))
        return
    sys.stdout.write(previewed(found, place))
    sys.stdout.flush()
    sys.stderr.write(ways_in({one.reason for one in found.left_out}))
    sys.stderr.write(advised({one.type for one in found.left_out if not one.is_folder}))
    sys.stderr.write(wrong(found.problems, place))


def show_report(report: SyncReport, paths: Sequence[Path], folder: Path, documents: int) -> None:
    """Show what was read, what was left out, and what went wrong.

    Args:
        report: of all that.
        paths: what was named.
        folder: of the index.
        documents: how many it holds now.
    """
    from retrieval.cli.output.amounts import count
    from retrieval.cli.output.files import left_out, wrong
    from retrieval.cli.output.reports import synced
    from retrieval.service.printable import safe

    sys.stdout.write(synced(report, folder, documents))
    sys.stdout.flush()
    if not (report.changed or report.unchanged):
        names = ", ".join(safe(str(path)) for path in paths) or "what the index was given"
        sys.stderr.write(f"no file to index in {names}; name a folder that contains text\n")
    sys.stderr.write(left_out(report.left_out, folder))
    if report.by_layout:
        sys.stderr.write(
            f"{count(report.by_layout, 'source file')} cut by layout: no grammar could parse them\n"
        )
    sys.stderr.write(wrong(report.problems, folder))


def check_read(report: SyncReport, paths: Sequence[Path], folder: Path, documents: int) -> None:
    """Refuse files that were named, and no folder, where nothing of them could be read.

    Args:
        report: of what was done.
        paths: what was named.
        folder: of the index.
        documents: how many it holds now.

    Raises:
        DocumentError: naming the files and what is wrong with each.
    """
    from retrieval.cli.output.amounts import count
    from retrieval.errors import DocumentError
    from retrieval.service.location import shown_problem

    if report.changed or report.unchanged or not paths or not all(map(Path.is_file, paths)):
        return
    lines = [shown_problem(folder, line) for line in report.problems]
    why = "; ".join(line.removesuffix("; skipped") for line in lines)
    names = ", ".join(str(path) for path in paths)
    kept = f", and the index at {folder} keeps its {count(documents, 'document')}"
    raise DocumentError(
        f"{why or f'{names}: left out'}; nothing was read{kept if documents else ''}"
    )
