"""What a user's name for a place refers to: a URL, a folder, or neither."""

from __future__ import annotations

from pathlib import Path


def is_url(place: str | None) -> bool:
    """Whether this names a place in object storage rather than a folder on this machine."""
    return place is not None and "://" in place


def absolute_folder(folder: Path) -> Path:
    """The absolute path of a folder without `..`, so that it and its parent have names.

    The folder itself may be a link, which stays; `..` after a link leads out of its target.
    """
    whole = folder.absolute()
    if ".." not in whole.parts:
        return whole
    return whole.resolve() if whole.name == ".." else whole.parent.resolve() / whole.name


def absolute_source(source: str | Path) -> str:
    """The absolute path of an encoder's folder, valid in any current folder; a Hub id as it is."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else str(source)
