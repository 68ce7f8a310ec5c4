"""A user's own test set, made from their index and kept in BEIR's format.

sources    queries that were typed, or read from a file or a search log
proposing  queries out of the documents' own headings, titles and docstrings
pooling    what several retrievers find, put together and shuffled
journal    judgements, each on the disk before the next is asked for
judging    the walk through the pools: grade, skip, back
folder     the folder: its queries, judgements and documents as an evaluation reads them
"""

from retrieval.eval.testset.folder import Added, TestSet, Written, check_folder
from retrieval.eval.testset.journal import Journal, Judgement
from retrieval.eval.testset.judging import GRADES, Judging
from retrieval.eval.testset.pooling import Candidate, Pool, pools
from retrieval.eval.testset.proposals import Proposed, propose, without
from retrieval.eval.testset.sources import Log, Wanted, read_log, read_queries, typed

__all__ = [
    "GRADES",
    "Added",
    "Candidate",
    "Journal",
    "Judgement",
    "Judging",
    "Log",
    "Pool",
    "Proposed",
    "TestSet",
    "Wanted",
    "Written",
    "check_folder",
    "pools",
    "propose",
    "read_log",
    "read_queries",
    "typed",
    "without",
]
