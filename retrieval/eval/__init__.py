"""Measuring retrieval: collections, runs, measures."""

from retrieval.eval.datasets import Collection, Dataset, load, load_beir
from retrieval.eval.evaluate import evaluate
from retrieval.eval.judge_report import judge
from retrieval.eval.measures import MEASURES, means, per_query
from retrieval.eval.runs import max_passage, run_index
from retrieval.eval.systems import make_systems

__all__ = [
    "MEASURES",
    "Collection",
    "Dataset",
    "evaluate",
    "judge",
    "load",
    "load_beir",
    "make_systems",
    "max_passage",
    "means",
    "per_query",
    "run_index",
]
