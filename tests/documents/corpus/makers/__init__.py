"""Makers of the corpus: a function `by_PROGRAM` for each program."""
