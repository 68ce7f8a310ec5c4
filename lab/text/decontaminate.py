"""Decontamination: which training records overlap with test collections.

Words are runs of letters, digits and underscores in lower case; what stands between them does not
count. Protected are all documents and queries of a collection; of one whose train split may be
used, all but those that only the train split names.

A record overlaps if

- its title and text, or its query, hold a run of 13 words of a protected text (its title and text
  20 words if they are code, whose boilerplate repeats; a docstring left in code counts as prose),
- or they hold in full a protected text of 8 words or more that is shorter than that,
- or its query, or its title if it has 4 words or more and heads no code, is a protected query or
  a protected title.

Runs of words are compared by 64-bit hashes, so that a collection takes 8 bytes a word for each of
the two lengths. A collision could drop a record for nothing; none that overlaps is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.eval.datasets import beir
from retrieval.train.pairs import Record

RUN = 13
"""Words in a row that prose may not share."""
CODE_RUN = 20
"""Words in a row that code may not share."""
SHORTEST = 8
"""A protected text of fewer words is looked for only as a whole query or title."""
TITLE = 4
"""A title of fewer words says too little to give a query away."""

Overlap = Literal["query equal", "query overlap", "title equal", "text overlap"]
"""What of a record a protected text holds."""

_WORD = re.compile(r"\w+")
_DOCSTRING = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Protected:
    """What no record may overlap, as sorted hashes of runs of words, u64 [n] each.

    Attributes:
        runs: every run of `RUN` words.
        code_runs: every run of `CODE_RUN` words.
        whole: texts of `SHORTEST` to `CODE_RUN - 1` words, by their number of words.
        named: whole queries and titles.
    """

    runs: Hashes
    code_runs: Hashes
    whole: Mapping[int, Hashes]
    named: Hashes

    def overlap(self, record: Record, *, code: bool = False) -> Overlap | None:
        """Why the record must not be trained on, or None if it may be."""
        if record.query:
            query = _words(record.query)
            if self._names(query):
                return "query equal"
            if self._shares(query, RUN):
                return "query overlap"
        if record.title and not code:
            title = _words(record.title)
            if len(title) >= TITLE and self._names(title):
                return "title equal"
        # Training reads the two as one text, so they are compared as one.
        if self._shares(_words(f"{record.title} {record.text}"), CODE_RUN if code else RUN):
            return "text overlap"
        if code:
            for docstring in _DOCSTRING.finditer(record.text):
                if self._shares(_words(docstring[1] or docstring[2] or ""), RUN):
                    return "text overlap"
        return None

    def _names(self, words: Hashes) -> bool:
        return _any_in(_runs(words, len(words)), self.named)

    def _shares(self, words: Hashes, run: int) -> bool:
        long = self.runs if run == RUN else self.code_runs
        return _any_in(_runs(words, run), long) or any(
            _any_in(_runs(words, length), texts)
            for length, texts in self.whole.items()
            if length < run
        )


def protect(whole: Iterable[Path], *, but_train: Iterable[Path] = ()) -> Protected:
    """Hash what is protected of collections in BEIR's format.

    Args:
        whole: folders of which every document and query is protected.
        but_train: folders whose train split may be used: what only that names is not protected.

    Raises:
        InputError: a file is missing or a line cannot be read; both are named.
    """
    runs: list[Hashes] = []
    code_runs: list[Hashes] = []
    short: defaultdict[int, list[Hashes]] = defaultdict(list)
    named: list[Hashes] = []
    for folder, free in [
        *((folder, beir.Ids()) for folder in whole),
        *((folder, beir.train_only(folder)) for folder in but_train),
    ]:
        for text, names in _protected_texts(folder, free):
            words = _words(text)
            runs.append(_runs(words, RUN))
            code_runs.append(_runs(words, CODE_RUN))
            if SHORTEST <= len(words) < CODE_RUN:
                short[len(words)].append(_runs(words, len(words)))
            if names:
                named.append(_runs(words, len(words)))
    return Protected(
        _sorted(runs),
        _sorted(code_runs),
        {length: _sorted(texts) for length, texts in short.items()},
        _sorted(named),
    )


def _protected_texts(folder: Path, free: beir.Ids) -> Iterator[tuple[str, bool]]:
    """(text, whether it is a query or a title) of all that is not free to be trained on."""
    for document in beir.documents(folder):
        if document.id not in free.documents:
            yield document.text, False
            if document.title:
                yield document.title, True
                yield f"{document.title} {document.text}", False
    for query in beir.queries(folder):
        if query.id not in free.queries:
            yield query.text, True


def _words(text: str) -> Hashes:
    """u64 [words]: a hash of each word."""
    words = _WORD.findall(text.lower())
    return np.fromiter(map(_hash, words), np.uint64, len(words))


@lru_cache(maxsize=1 << 20)
def _hash(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _runs(words: Hashes, length: int) -> Hashes:
    """A hash of each run of `length` words: u64 [words - length + 1], or [0] if there is none."""
    count = len(words) - length + 1
    if count <= 0 or length == 0:
        return np.zeros(0, np.uint64)
    hashes = np.zeros(count, np.uint64)
    for offset in range(length):  # wraps around at 64 bits, as intended
        hashes = hashes * _MULTIPLIER + words[offset : offset + count]
    return hashes


def _sorted(hashes: list[Hashes]) -> Hashes:
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))


def _any_in(hashes: Hashes, among: Hashes) -> bool:
    """Whether any of `hashes` is in the sorted `among`."""
    if not len(hashes) or not len(among):
        return False
    positions = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
    return bool((among[positions] == hashes).any())
