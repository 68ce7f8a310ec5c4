"""Index: documents, passages and the three searchable indexes under one commit.

index      Index, the façade
making     an empty index, whole or not at all
turn       one writing call at a time
pace       how much text is encoded at once
prepare    a document checked, cut into passages, put before the encoder
writer     documents in, commits out
session    the disk's side of a writing call: lock, segments, commits, sweeping
vectors    a dense and a late folder as one segment
opened     what is open already is not opened again
merge      which segments are rewritten as one
snapshot   one generation, opened for searching
search     candidates, MaxSim, fusion
hits       passages with their texts, places and words
explain    which token of a query matched which of a passage
measure    what late interaction's approximations cost
changing   add, delete, compact
searching  questions: search, explain
given      vectors that come from elsewhere, checked
listing    documents by id, pages of them, counts, values of a key
verify     everything held against what was committed
encoder    the encoder that an index remembers
"""

from retrieval.index.index import Index
from retrieval.index.reading.measure import MeasureReport
from retrieval.index.reports import CompactReport, IndexStatus
from retrieval.store import Listed

__all__ = ["CompactReport", "Index", "IndexStatus", "Listed", "MeasureReport"]
