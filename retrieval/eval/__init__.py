"""Measuring retrieval: collections, runs, measures."""

from retrieval.eval.datasets import Collection, Dataset, load, load_beir
from retrieval.eval.late import judge
from retrieval.eval.measures import MEASURES, means, per_query
from retrieval.eval.runs import max_passage, run_index

__all__ = [
    "MEASURES",
    "Collection",
    "Dataset",
    "judge",
    "load",
    "load_beir",
    "max_passage",
    "means",
    "per_query",
    "run_index",
]
