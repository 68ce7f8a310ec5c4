"""Files and folders brought into an index, and kept up to date in it.

syncing  sync: an index made to mirror what it was given
roots    what an index was given, and what is gone of it
looking  what is new, changed or as it was there, and what is left out
moves    files that moved, by their content
changes  whether files have changed since: a look that takes a bounded time
remaining how long the rest takes
run      one sync under way
settings what an index remembers of all that
report   how far it is, and what it did
"""

from retrieval.sync.report import SyncProgress, SyncReport
from retrieval.sync.syncing import sync

__all__ = ["SyncProgress", "SyncReport", "sync"]
