"""What a user's name for a place refers to: a URL, a folder, or neither."""

from __future__ import annotations

from pathlib import Path


def is_url(place: str | None) -> bool:
    """Whether this names a place in object storage rather than a folder on this machine."""
    return place is not None and "://" in place


def absolute_source(source: str | Path) -> str:
    """The absolute path of an encoder's folder, valid in any current folder; a Hub id as it is."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else str(source)
