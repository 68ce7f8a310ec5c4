"""The walk through the pools: what to show next, and what an answer does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.errors import InputError
from retrieval.eval.testset.journal import Journal
from retrieval.eval.testset.pooling import Candidate, Pool

GRADES = {
    0: "not relevant",
    1: "related",
    2: "relevant",
    3: "just what was asked for",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A document that is to be judged.

    Attributes:
        number: its place in the query's pool, from 1.
        of: how many the pool has.
        grade: what a judge gave it before, if anything.
    """

    query: str
    text: str
    candidate: Candidate
    number: int
    of: int
    grade: int | None


class Judging:
    """Goes through the pools in order, past what a person has judged; back on demand.

    Every answer is on the disk before the next document comes.
    """

    def __init__(self, pools: Iterator[Pool], journal: Journal) -> None:
        self.judged = 0
        self.skipped = 0
        self._pools = pools
        self._journal = journal
        self._seen: list[tuple[Pool, int]] = []
        self._at = -1
        self._forward()

    @property
    def current(self) -> Shown | None:
        """What is to be judged; None when all is."""
        if self._at >= len(self._seen):
            return None
        pool, place = self._seen[self._at]
        candidate = pool.candidates[place]
        known = self._journal.get(pool.query, candidate.document)
        grade = known.grade if known is not None and known.by == "judge" else None
        return Shown(pool.query, pool.text, candidate, place + 1, len(pool.candidates), grade)

    def grade(self, grade: int) -> None:
        """Judge the current document and go on.

        Raises:
            InputError: it is none of the grades.
        """
        if grade not in GRADES:
            raise InputError(f"grade {grade} is unknown; choose from {', '.join(map(str, GRADES))}")
        self._write(grade)
        self.judged += 1

    def skip(self) -> None:
        """Leave the current document without a judgement, for good, and go on."""
        self._write(None)
        self.skipped += 1

    def back(self) -> bool:
        """Go to the document before, judged or not; False at the first one."""
        if self._at <= 0:
            return False
        self._at -= 1
        return True

    def _write(self, grade: int | None) -> None:
        shown = self.current
        if shown is None:
            raise InputError("everything is judged; there is no document to grade")
        self._journal.add(shown.query, shown.candidate.document, grade, "judge")
        self._forward()

    def _forward(self) -> None:
        """To the next document that no person has judged."""
        while True:
            self._at += 1
            while self._at >= len(self._seen):
                pool = next(self._pools, None)
                if pool is None:
                    return
                self._seen += [(pool, place) for place in range(len(pool.candidates))]
            pool, place = self._seen[self._at]
            if not self._journal.by_judge(pool.query, pool.candidates[place].document):
                return
