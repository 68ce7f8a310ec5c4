"""What an index remembers of its files: the roots, what is left out, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from retrieval.documents import MAX_BYTES, ReadOptions, WalkOptions
from retrieval.documents.walk import JudgedFile, machine
from retrieval.documents.walk.options import checked_bytes
from retrieval.index.writing.writer import Writer
from retrieval.sync import labels
from retrieval.sync.labels import LabelField

ROOTS = "roots"
PLACE = "roots_from"
WALK = "walk"
READ = "read"
MAX = "max_bytes"
LABELS = "labels"
JUDGED = "judged"
SYNCED = "synced_ns"
"""Keys under which it is stored, see `Store.remembered`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The roots of an index, and how they are read.

    Attributes:
        roots: files and folders, as paths relative to the folder that contains the index.
        place: that folder when the roots were given; "" if there are none.
        walk: which files of a folder are indexed.
        read: how they are read.
        max_bytes: files beyond this size are left out.
        labels: classifiers that label documents as they are read.
    """

    roots: tuple[str, ...] = ()
    place: str = ""
    walk: WalkOptions = field(default_factory=WalkOptions)
    read: ReadOptions = field(default_factory=ReadOptions)
    max_bytes: int = MAX_BYTES
    labels: tuple[LabelField, ...] = ()


def settings_of(remembered: Callable[[str], Any]) -> Settings:
    """The settings that an index remembers; `remembered` is its, or its store's, method."""
    read = remembered(READ) or {}
    known = {one.name for one in fields(ReadOptions)}
    return Settings(
        tuple(remembered(ROOTS) or ()),
        remembered(PLACE) or "",
        WalkOptions.from_json(remembered(WALK) or {}),
        ReadOptions(**{name: value for name, value in read.items() if name in known}),
        remembered(MAX) or MAX_BYTES,
        labels.from_json(remembered(LABELS) or ()),
    )


def remember(writer: Writer, before: Settings, now: Settings) -> None:
    """Store with the next commit what differs from before."""
    for key, was, value in (
        (ROOTS, before.roots, now.roots),
        (PLACE, before.place, now.place),
        (WALK, before.walk, now.walk),
        (READ, before.read, now.read),
        (MAX, before.max_bytes, now.max_bytes),
        (LABELS, labels.to_json(before.labels), labels.to_json(now.labels)),
    ):
        if was != value:
            writer.remember(key, _plain(value))


def judged_of(remembered: Callable[[str], Any]) -> dict[str, JudgedFile]:
    """Files that were left out for their content, by id; none if the rules have changed since."""
    kept = remembered(JUDGED) or {}
    if kept.get("version") != machine.VERSION:
        return {}
    return {id: JudgedFile(*seen) for id, seen in kept["files"].items()}


def remember_judged(
    writer: Writer, before: Mapping[str, JudgedFile], now: Mapping[str, JudgedFile]
) -> None:
    """Store which files were left out for their content, so that they are not opened again."""
    if before != now:
        writer.remember(JUDGED, {"version": machine.VERSION, "files": dict(now)})


def synced_ns_of(remembered: Callable[[str], Any]) -> int | None:
    """When the last sync that found new or changed files began; None if that is not known."""
    found = remembered(SYNCED)
    return found if isinstance(found, int) and found else None


@dataclass(frozen=True, slots=True)
class Given:
    """Options given by a user; None leaves an option as it was.

    A list of only "" means an empty list, and "" means no encoding and no field.

    Attributes:
        exclude, include, hidden, no_ignore, archives: see `WalkOptions`.
        max_bytes: files beyond this size are left out.
        encoding, text_field, rows: see `ReadOptions`.
        label: `MODEL:FIELD`, a classifier's folder and the key of the metadata that it fills.
    """

    exclude: Sequence[str] | None = None
    include: Sequence[str] | None = None
    hidden: bool | None = None
    no_ignore: bool | None = None
    archives: bool | None = None
    max_bytes: int | None = None
    encoding: str | None = None
    text_field: str | None = None
    rows: bool | None = None
    label: Sequence[str] | None = None

    def over(self, settings: Settings) -> Settings:
        """The settings, overridden by the given options.

        Raises:
            InputError: a value cannot be used.
        """
        most = settings.max_bytes if self.max_bytes is None else checked_bytes(self.max_bytes)
        patterns = {
            name: [pattern for pattern in given if pattern]
            for name, given in (("exclude", self.exclude), ("include", self.include))
            if given is not None
        }
        flags = {"hidden": self.hidden, "no_ignore": self.no_ignore, "archives": self.archives}
        walk = settings.walk.to_json() | patterns | _given(flags)
        texts = {"encoding": self.encoding, "text_field": self.text_field}
        read = asdict(settings.read) | {name: text or None for name, text in _given(texts).items()}
        read |= _given({"rows": self.rows})
        chosen = settings.labels
        if self.label is not None:
            chosen = tuple(labels.parse(one) for one in self.label if one)
        return replace(
            settings,
            walk=WalkOptions.from_json(walk),
            read=ReadOptions(**read),
            max_bytes=most,
            labels=chosen,
        )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, WalkOptions):
        return value.to_json()
    return asdict(value) if isinstance(value, ReadOptions) else value
