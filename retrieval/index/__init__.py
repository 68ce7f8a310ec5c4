"""Index: documents, passages and the three searchable indexes under one commit.

index         Index, the façade
changing      add, delete, compact
searching     questions: search, explain
listing       documents by id, pages of them, counts, values of a key
encoder       the encoder that an index remembers
as_read       what the encoder reads in front of a passage, and the fields of its words
long_context  passages of a document that are encoded together
given         vectors that come from elsewhere, checked
ready         passages and vectors that come with documents
segments      what is open already is not opened again
vectors       a dense and a late folder as one segment
reports       what an index says of itself

writing/      documents in, commits out: cut, encoded in blocks, written as segments, merged, raised
reading/      a query in, hits out: snapshot, runs of each retriever, fusion, relevance, hits
"""

from retrieval.index.index import Index
from retrieval.index.reading.measure import MeasureReport
from retrieval.index.reports import AddReport, CompactReport, IndexStatus, Refused
from retrieval.store import Listed

__all__ = [
    "AddReport",
    "CompactReport",
    "Index",
    "IndexStatus",
    "Listed",
    "MeasureReport",
    "Refused",
]
