"""Every error that the package raises on purpose.

    RetrievalError
    ├── InputError              a value, a query or an option that cannot be used
    │   ├── FilterError         a `where=` expression that cannot be parsed or applied
    │   └── DocumentError       a file or a line that cannot be read as a document
    ├── EncoderError            an encoder cannot do what was asked of it
    │   └── CheckpointError     a checkpoint is missing, unsafe or of an unknown format
    ├── StorageError            an index or its storage fails
    │   ├── IndexNotFound       there is no index at that place
    │   ├── IndexLocked         another process is writing
    │   ├── IndexCorrupted      a file is missing, truncated or altered
    │   ├── IndexFormatError    the index was written by another release
    │   │   └── IndexFormatOutdated     by an older one; opening it upgrades its format
    │   ├── EncoderMismatch     the index was built with another encoder
    │   └── ShardUnavailable    no replica of a shard answers
    └── MissingDependency       an optional package is needed; the message names the extra

Each message is one line: what was found, what was expected, how to mend it.
"""

from __future__ import annotations

import os


class RetrievalError(Exception):
    """Base of every error raised on purpose; its text is one line fit for a user."""


class InputError(RetrievalError, ValueError):
    """A value, a query or an option that cannot be used."""


class FilterError(InputError):
    """A `where=` expression that cannot be parsed or applied."""


class DocumentError(InputError):
    """A file or a line that cannot be read as a document."""


class EncoderError(RetrievalError):
    """An encoder cannot do what was asked of it."""


class CheckpointError(EncoderError):
    """A checkpoint is missing, unsafe or of an unknown format."""


class StorageError(RetrievalError):
    """An index or its storage fails."""


class IndexNotFound(StorageError):  # noqa: N818
    """There is no index at that place."""


class IndexLocked(StorageError):  # noqa: N818
    """Another process is writing to the index."""


class IndexCorrupted(StorageError):  # noqa: N818
    """A file of the index is missing, truncated or altered."""


def from_backup(folder: str | os.PathLike[str] = "the index") -> str:
    """How an index that is damaged can be had again, to end a message of IndexCorrupted."""
    return f"copy the index back from a backup, or delete {os.fspath(folder)} and index again"


class IndexFormatError(StorageError):
    """The index was written by another release, in a form that this one does not read."""


class IndexFormatOutdated(IndexFormatError):  # noqa: N818
    """An older release wrote the index; opening it with `Index` upgrades it in place."""


class EncoderMismatch(StorageError):  # noqa: N818
    """The index was built with another encoder than the one given."""


class ShardUnavailable(StorageError):  # noqa: N818
    """No replica of a shard answers; its number is `shard`."""

    def __init__(self, message: str, shard: int = -1) -> None:
        super().__init__(message)
        self.shard = shard


class MissingDependency(RetrievalError, ImportError):  # noqa: N818
    """An optional package is needed; the message names the extra that brings it."""
