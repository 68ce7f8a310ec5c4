"""Files and documents as text: the contents of an index, changes, what is left out and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.output.amounts import count, listing
from retrieval.cli.output.style import Style
from retrieval.service.location import shown, shown_problem
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.documents.walk import LeftOutType, Reason
    from retrieval.index import Listed
    from retrieval.index.listing import Listing
    from retrieval.service.preview import Preview
    from retrieval.sync.changes import Changes

_OPTIONS = {
    "archives": "--archives",
    "exclude": "--exclude with other globs, or '' for none",
    "hidden": "--hidden",
    "include": "--include GLOB",
    "max_bytes": "--max-bytes N",
    "no_ignore": "--no-ignore",
}

_TYPES = 8
"""Maximum types of left-out files to name per reason; the rest is counted."""


def listed(documents: Sequence[Listed], index: Path, style: Style) -> str:
    """Documents, one per line: path, number of passages, title."""
    lines = []
    for one in documents:
        where = one.id
        if one.source is not None:
            line = one.metadata.get("line")  # of a record among many in one file
            held = one.id.startswith((f"{one.source}#", f"{one.source}!/"))
            rest = one.id[len(one.source) :] if held else ""
            where = shown(index, one.source) + (f":{line}" if isinstance(line, int) else rest)
        parts = [
            style.dress("path", safe(where)),
            style.dress("faint", count(one.passages, "passage")),
            style.dress("title", safe(" ".join(one.title.split()))),
        ]
        lines.append("  ".join(part for part in parts if part) + "\n")
    return "".join(lines)


def unfitting(index: Listing, where: str | None) -> str:
    """One line on the keys and values in a filter that no document has; or ""."""
    if where is None:
        return ""
    from retrieval.service.filter_hints import filter_hint

    hint = filter_hint(index, where)
    return f"--where: {safe(hint)}\n" if hint else ""


def changed_files(changes: Changes, index: Path, *, named: bool) -> str:
    """One line that says that files have changed since they were indexed; "" if none have.

    Args:
        changes: the changes found.
        index: the index folder.
        named: whether the user named it.
    """
    if not changes:
        return ""
    kinds = [
        f"{len(ids):,} {name}"
        for ids, name in (
            (changes.changed, "changed"),
            (changes.new, "new"),
            (changes.gone, "gone"),
        )
        if ids
    ]
    first = (*changes.changed, *changes.new, *changes.gone)[0]
    more = "" if changes.complete else " or more"
    option = f" --index {index}" if named else ""
    return (
        f"files have changed since they were indexed: {', '.join(kinds)}{more}, such as "
        f"{safe(shown(index, first))}; `retrieval index{option}` brings them up to date\n"
    )


def left_out(
    types: Mapping[str, Mapping[str, LeftOutType]],
    index: Path,
    listed_by: str = "`retrieval index --dry-run`",
) -> str:
    """What was not read, one line per reason: `21 binary: 12 .png, 9 .mp4, such as a/b.png`.

    The index itself, which nobody expects to be read, is not mentioned.

    Args:
        types: what was not read, by reason and by type.
        index: the index's folder.
        listed_by: the command that lists all of it.
    """
    lines = []
    for reason, of_type in types.items():
        known = {
            type: one
            for type, one in of_type.items()
            if not (reason == "excluded" and type == f"{index.name}/" and one.count == 1)
        }
        if not known:
            continue
        first = sorted(known.items(), key=lambda item: -item[1].count)
        named = [f"{one.count:,} {safe(type)}" for type, one in first[:_TYPES]]
        rest = sum(one.count for _, one in first[_TYPES:])
        if rest:
            named.append(f"{rest:,} more")
        total = sum(one.count for one in known.values())
        example = safe(shown(index, first[0][1].examples[0]))
        lines.append(f"  {total:,} {reason}: {', '.join(named)}, such as {example}\n")
    if not lines:
        return ""
    title = f"left out ({listed_by} lists all, and how to include them):\n"
    return "".join([title, *lines, advised(types.get("binary", ()))])


def wrong(problems: Sequence[str], index: Path) -> str:
    """The problems of a report under a title, each with the path of its file; or ""."""
    if not problems:
        return ""
    return listing("problems:", [shown_problem(index, line) for line in problems])


def advised(types: Collection[str]) -> str:
    """Advice for files of types that no format reads, one line per advice; or ""."""
    from retrieval.documents.walk import advices

    return "".join(f"  {', '.join(of)}: {text}\n" for of, text in advices(types))


def previewed(found: Preview, index: Path) -> str:
    """What would be indexed, read again, removed and left out, one per line, and the totals."""
    kinds = (("new", found.new), ("changed", found.changed), ("gone", found.gone))
    lines = [f"{kind:<9} {safe(shown(index, id))}\n" for kind, ids in kinds for id in ids]
    for one in found.left_out:
        slash = "/" if one.is_folder else ""
        lines.append(f"{'left out':<9} {safe(shown(index, one.id))}{slash}  ({one.reason})\n")
    counts = {
        **{kind: len(ids) for kind, ids in kinds},
        "unchanged": len(found.unchanged),
        "left out": len(found.left_out),
    }
    lines.append(", ".join(f"{number:,} {kind}" for kind, number in counts.items()) + "\n")
    return "".join(lines)


def ways_in(reasons: Collection[Reason]) -> str:
    """How to include what was left out for these reasons, one line each."""
    from retrieval.documents.walk import WAY_IN

    lines = [
        f"  {reason}: {' or '.join(_OPTIONS[option] for option in options)}\n"
        for reason, options in WAY_IN.items()
        if reason in reasons
    ]
    if not lines:
        return ""
    return "".join(["to include what was left out (naming its path does so too):\n", *lines])
