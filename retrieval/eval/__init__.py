"""Measuring retrieval: collections, runs, measures."""

from retrieval.eval.datasets import Dataset, load_beir
from retrieval.eval.late import judge
from retrieval.eval.measures import evaluate
from retrieval.eval.runs import max_passage, run_index

__all__ = ["Dataset", "evaluate", "judge", "load_beir", "max_passage", "run_index"]
