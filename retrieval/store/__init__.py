"""The contents of an index in SQLite, and the commit that changes them.

schema   the tables, the format version
unlocked reading where locks are not possible
steps    a limit on the steps of a statement
reading  Store: one generation, pinned as long as it is open
listing  ids, counts and values
sources  files that documents came from
writing  StoreWriter: the one transaction of a commit
files    segment folders: checksums, verification, removal
guard    errors of SQLite and the disk, as messages for users
"""

from retrieval.files.lock import WriterLock
from retrieval.store.copies import BLANK
from retrieval.store.documents import StoredDocument
from retrieval.store.files import FileRecord, SegmentRecord
from retrieval.store.listing import Condition, Listed, ValueCount
from retrieval.store.reading import Counts, Store
from retrieval.store.schema import (
    FORMAT_VERSION,
    UNRELIABLE_TIMES,
    JsonValue,
    PassageRow,
    Settings,
    SourceRecord,
)
from retrieval.store.sources import FileRow
from retrieval.store.writing import Commit, NewDocument, Relabel, StoreWriter

__all__ = [
    "BLANK",
    "FORMAT_VERSION",
    "UNRELIABLE_TIMES",
    "Commit",
    "Condition",
    "Counts",
    "FileRecord",
    "FileRow",
    "JsonValue",
    "Listed",
    "NewDocument",
    "PassageRow",
    "Relabel",
    "SegmentRecord",
    "Settings",
    "SourceRecord",
    "Store",
    "StoreWriter",
    "StoredDocument",
    "ValueCount",
    "WriterLock",
]
