"""Hits, reports and facts as plain values: the one JSON shape of command line and servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from retrieval.hits import Hits, hit_as_dict
from retrieval.hits import plain_value as plain_value
from retrieval.service.location import shown
from retrieval.types import NO_CONTEXT

if TYPE_CHECKING:
    from retrieval.documents import LeftOut
    from retrieval.index import IndexStatus, Listed, MeasureReport
    from retrieval.service.lookup import Around
    from retrieval.service.places import Found
    from retrieval.service.preview import Preview
    from retrieval.sharded import ShardedStatus
    from retrieval.sync import SyncReport
    from retrieval.types import Hit, TokenMatch


def hits_as_dicts(
    hits: Sequence[Hit],
    matches: Sequence[Sequence[TokenMatch]] | None = None,
    around: Sequence[Around] | None = None,
) -> list[dict[str, Any]]:
    """Hits with every field and property of `Hit`.

    If given, each has `explain` (its matches), and the lines `before` and `after` the passage.
    """
    shaped = [hit_as_dict(hit) for hit in hits]
    for hit, pairs in zip(shaped, matches or [], strict=False):
        hit["explain"] = plain_value(pairs)
    for hit, (before, after) in zip(shaped, around or [], strict=False):
        hit |= {"before": before, "after": after}
    return shaped


def coverage_as_dict(hits: Hits) -> dict[str, Any]:
    """How much of a collection was searched, as `coverage`; empty if all of it was."""
    return {} if hits.coverage is None else {"coverage": plain_value(hits.coverage)}


def listed_as_dict(one: Listed) -> dict[str, Any]:
    """A document without its text: `id`, `path`, `title`, `passages`, `metadata`."""
    return {
        "id": one.id,
        "path": one.source,
        "title": one.title,
        "passages": one.passages,
        "metadata": plain_value(one.metadata),
    }


def found_as_dict(found: Found, index: Path) -> dict[str, Any]:
    """A place: `id`, `path`, `line`, `title`, `heading`, `symbol`, `place`, `first_line`, `lines`.

    Args:
        found: the place.
        index: the index folder; `file` leads from the current folder to the file, if there is one.
    """
    context = found.passage.context if found.passage else NO_CONTEXT
    return {
        "id": found.document.id,
        "path": found.path,
        "file": None if found.path is None else shown(index, found.path),
        "line": found.line,
        "title": found.document.title,
        "heading": " > ".join(context.headings),
        "symbol": context.symbol,
        "place": plain_value(found.place),
        "first_line": found.lines.first,
        "lines": found.lines.rows,
        "total_lines": found.lines.total,
    }


def status_as_dict(
    status: IndexStatus | ShardedStatus | None, problems: Sequence[str] | None = None
) -> dict[str, Any]:
    """An index's status, and the `problems` found if it was verified.

    Args:
        status: None if the index is too damaged to be opened.
        problems: what verifying found; None if it was not verified.
    """
    facts: dict[str, Any] = {} if status is None else plain_value(status)
    return facts if problems is None else facts | {"problems": list(problems)}


def measured_as_dict(report: MeasureReport) -> dict[str, Any]:
    """The measurements of approximation, without the rankings."""
    facts: dict[str, Any] = plain_value(report)
    del facts["found"]
    return facts


def report_as_dict(
    report: SyncReport, index: PurePath, left_out: Sequence[LeftOut] | None = None
) -> dict[str, Any]:
    """The report of an update of the index in a folder.

    Args:
        report: the report.
        index: the index folder.
        left_out: every file and folder that was not read, which become `left_out_files`, except the
            index itself.
    """
    facts: dict[str, Any] = plain_value(report)
    if left_out is not None:
        facts["left_out_files"] = [
            left_out_as_dict(one) for one in left_out if one.id != index.name
        ]
    return {"index": str(index)} | facts


def left_out_as_dict(one: LeftOut) -> dict[str, Any]:
    """A file or folder that is not read: `id`, `reason`, `is_folder`, and advice."""
    from retrieval.documents.walk import Reason, advice

    said = advice(one.type) if one.reason is Reason.BINARY else ""
    facts: dict[str, Any] = plain_value(one)
    return facts | ({"advice": said} if said else {})


def preview_as_dict(found: Preview) -> dict[str, Any]:
    """What an update of an index would do."""
    facts: dict[str, Any] = plain_value(found)
    return facts | {"left_out": [left_out_as_dict(one) for one in found.left_out]}
