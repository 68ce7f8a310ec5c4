"""Judgements as lines of a file, each on the disk before the next one is asked for."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from retrieval.errors import InputError

By = Literal["judge", "log", "proposed"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well a document answers a query.

    Attributes:
        grade: 0 is not relevant, above is relevant; None where the judge passed it over.
        by: a person (`judge`), clicks in a log (`log`), or the document itself (`proposed`).
        at: when, as ISO 8601.
    """

    query: str
    document: str
    grade: int | None
    by: By
    at: str


class Journal:
    """The judgements of a test set; a person's count before a log's and a proposal's.

    Of two judgements of one pair the later counts. A last line that was cut off, as by a crash
    while it was written, is dropped.
    """

    def __init__(self, path: Path) -> None:
        """Read the journal at `path`, if there is one.

        Raises:
            InputError: it cannot be read, or a line other than the last is damaged.
        """
        self.path = path
        self._judged: dict[str, dict[str, Judgement]] = {}
        self._whole = 0
        for judgement in self._lines():
            self._take(judgement)

    def get(self, query: str, document: str) -> Judgement | None:
        """The judgement that counts for a pair, or None."""
        return self._judged.get(query, {}).get(document)

    def by_judge(self, query: str, document: str) -> bool:
        """Whether a person has graded or skipped the pair."""
        found = self.get(query, document)
        return found is not None and found.by == "judge"

    def documents(self, query: str) -> list[str]:
        """The documents that have a judgement for the query."""
        return list(self._judged.get(query, ()))

    def grades(self) -> dict[str, dict[str, int]]:
        """Grade by document id, by query id; without what was skipped."""
        found = {}
        for query, judged in self._judged.items():
            graded = {id: one.grade for id, one in judged.items() if one.grade is not None}
            if graded:
                found[query] = graded
        return found

    def add(self, query: str, document: str, grade: int | None, by: By) -> None:
        """Write a judgement; it is on the disk when this returns."""
        self.add_all([(query, document, grade)], by)

    def add_all(self, judged: Iterable[tuple[str, str, int | None]], by: By) -> None:
        """Write several judgements at once; what counts already is not written again."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        new = []
        for query, document, grade in judged:
            known = self.get(query, document)
            if known is None or (known.grade, known.by) != (grade, by):
                if by != "judge" and known is not None:
                    continue
                new.append(Judgement(query, document, grade, by, now))
        if not new:
            return
        lines = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in new)
        data = lines.encode()
        with self.path.open("r+b" if self.path.exists() else "xb") as file:
            file.truncate(self._whole)  # a line that was cut off goes
            file.seek(self._whole)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(data)
        for one in new:
            self._take(one)

    def _take(self, judgement: Judgement) -> None:
        self._judged.setdefault(judgement.query, {})[judgement.document] = judgement

    def _lines(self) -> Iterable[Judgement]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as wrong:
            raise InputError(
                f"{self.path} cannot be read ({wrong.strerror}); expected judgements"
            ) from None
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                return
            self._whole += len(line)
            yield self._parsed(line, number)

    def _parsed(self, line: bytes, number: int) -> Judgement:
        try:
            found = Judgement(**json.loads(line))
            texts = (found.query, found.document, found.at, found.by)
            if all(isinstance(text, str) for text in texts) and (
                found.grade is None or type(found.grade) is int
            ):
                return found
        except (ValueError, TypeError):
            pass
        raise InputError(
            f"{self.path}:{number}: {line[:60].decode(errors='replace')!r}; expected a judgement "
            "with query, document, grade, by and at; take the line out, or restore the file"
        )
