"""Bringing files and folders into an index, and keeping it up to date.

syncing  sync: make an index mirror the files and folders that it was given
roots    the files and folders that an index was given, and which of them are gone
looking  which files are new, changed or unchanged, and which are left out
moves    files that moved, recognised by their content
changes  whether files have changed since: a check that takes a bounded time
remaining how long the rest takes
run      one sync in progress
settings what an index remembers of its files and options
report   progress, and what a sync did
"""

from retrieval.sync.report import SyncProgress, SyncReport
from retrieval.sync.syncing import sync

__all__ = ["SyncProgress", "SyncReport", "sync"]
