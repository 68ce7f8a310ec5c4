"""Index: documents, passages and the three searchable indexes under one commit.

index         Index, the façade
changing      add, delete, compact
searching     search, explain
listing       documents by id, pages of them, counts, values of a key
encoder       loading and checking the encoder that an index was built with
context_builder  what the encoder reads in front of a passage, and the lexical fields
long_context  encoding passages of a document together
given         checking vectors that callers supply
ready         ready-made passages and vectors that come with documents
segments      reusing segments that are open already
vectors       a dense and a late folder as one segment
reports       IndexStatus and other reports

writing/      documents in, commits out: cutting, encoding, writing and merging segments, upgrades
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
