"""Reading passages from a store: rows, texts, hashes, names, and their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.files.packed import StoredText
from retrieval.files.stored_json import parsed
from retrieval.store.copies import text_hash
from retrieval.store.places import Places
from retrieval.store.schema import PassageRow
from retrieval.store.statements import Statements, chosen_keys
from retrieval.store.steps import size
from retrieval.store.structure import from_json

_PASSAGE = 'id, document, ordinal, start, "end", first_line, last_line, structure'
_Columns: TypeAlias = tuple[int, int, int, int, int, int, int, str | None]


class PassageReading(Statements):
    """The part of `Store` that reads passages; raises the same errors as `Store`.

    Attributes:
        next_passage: an id that no passage has had yet, as all above it.
        end: one more than the greatest id of a passage that is not dead. What is as large as ids go
            is made by this: `next_passage` alone may say anything.
    """

    next_passage: int
    end: int

    def passage_ids(self) -> NDArray[np.int64]:
        """Ids of all passages, ascending."""
        return self._column("SELECT id FROM passages ORDER BY id")

    def matching(
        self, condition: str, parameters: Sequence[Any], *, of_passages: bool = False
    ) -> NDArray[np.int64]:
        """Ids of the passages that fulfil an SQL condition.

        Args:
            condition: SQL over a row of `documents AS d`.
            parameters: values for its question marks.
            of_passages: whether it also refers to `passages AS p`.
        """
        if of_passages:
            return self._column(
                "SELECT p.id FROM passages AS p JOIN documents AS d ON d.number = p.document"
                f" WHERE {condition}",
                parameters,
                size(condition, parameters),
            )
        return self._column(
            "SELECT id FROM passages WHERE document IN"
            f" (SELECT d.number FROM documents AS d WHERE {condition})",
            parameters,
            size(condition, parameters),
        )

    def passages(self, ids: Sequence[int]) -> dict[int, PassageRow]:
        """The rows of the passages with these ids, by id; unknown ids are left out."""
        rows = self._by_keys(f"SELECT {_PASSAGE} FROM passages WHERE id IN", ids)
        return {row[0]: self._passage(row) for row in rows}

    def text_hashes(self, ids: Sequence[int]) -> dict[int, int]:
        """The hash of each of these passages' texts, by id; unknown ids are left out."""
        return dict(self._by_keys("SELECT id, text_hash FROM passages WHERE id IN", ids))

    def roles(self, ids: Sequence[int]) -> dict[int, str]:
        """The metadata `role` of these passages' documents, by passage id, if it is a text."""
        return dict(
            self._by_keys(
                "SELECT p.id, json_extract(d.metadata, '$.role') FROM passages AS p"
                " JOIN documents AS d ON d.number = p.document"
                " WHERE json_type(d.metadata, '$.role') = 'text' AND p.id IN",
                ids,
            )
        )

    def definitions(self, ids: Sequence[int]) -> dict[int, list[str]]:
        """The qualified names that are defined in each of these passages, if there are any."""
        rows = self._by_keys(
            "SELECT id, json_extract(structure, '$.defines') FROM passages"
            " WHERE json_extract(structure, '$.defines') IS NOT NULL AND id IN",
            ids,
        )
        try:
            return {id: [str(name) for name in parsed(names)] for id, names in rows}
        except (ValueError, TypeError) as error:
            raise self._damaged("names that a passage defines are not as written") from error

    def symbols(self, ids: Sequence[int]) -> dict[int, str]:
        """The qualified name of the definition around each of these passages that has one."""
        return dict(
            self._by_keys(
                "SELECT id, json_extract(structure, '$.symbol') FROM passages"
                " WHERE json_type(structure, '$.symbol') = 'text' AND id IN",
                ids,
            )
        )

    def of_text_hashes(self, hashes: Sequence[int]) -> dict[int, list[int]]:
        """The ids of all passages with each of these hashes, by the hash."""
        found: dict[int, list[int]] = {}
        for hash, id in self._by_keys(
            "SELECT text_hash, id FROM passages WHERE text_hash IN", hashes
        ):
            found.setdefault(hash, []).append(id)
        return found

    def ranks(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of each of these passages among them by document id, then ordinal, i64 [n].

        Raises:
            IndexCorrupted: a passage does not exist.
        """
        places = [(document, ordinal) for document, ordinal, *_ in self.described(ids.tolist())]
        ranks = {place: rank for rank, place in enumerate(sorted(places))}
        return np.array([ranks[place] for place in places], np.int64)

    def described(self, ids: Sequence[int]) -> list[tuple[str, int, int, int]]:
        """For each of these passages: its document's id, its ordinal, the hash of its text, and its
        document's number.

        Raises:
            IndexCorrupted: a passage does not exist.
        """
        rows = self._by_keys(
            "SELECT p.id, d.id, p.ordinal, p.text_hash, p.document FROM passages AS p"
            " JOIN documents AS d ON d.number = p.document WHERE p.id IN",
            ids,
        )
        found = {id: tuple(values) for id, *values in rows}
        missing = [id for id in ids if id not in found]
        if missing:
            raise self._damaged(f"passage {missing[0]} is not in it")
        return [found[id] for id in ids]

    def order(self) -> Places:
        """The place of every passage among all by document id, then ordinal."""
        ids = self._column(
            "SELECT p.id FROM passages AS p JOIN documents AS d ON d.number = p.document"
            " ORDER BY d.id, p.ordinal"
        )
        return Places(ids, self.end)

    def passages_of(self, number: int) -> list[PassageRow]:
        """The passages of the document with this number, in order."""
        with self._reading() as database:
            rows = database.execute(
                f"SELECT {_PASSAGE} FROM passages WHERE document = ? ORDER BY ordinal", (number,)
            )
            return [self._passage(row) for row in rows]

    def passage_texts(self, rows: Iterable[PassageRow]) -> dict[int, str]:
        """The texts of these passages, by id; those without their document are left out.

        Raises:
            IndexCorrupted: a text was altered.
        """
        of: dict[int, list[PassageRow]] = {}
        for row in rows:
            of.setdefault(row.document, []).append(row)
        hashes = self.text_hashes([row.id for several in of.values() for row in several])
        found: dict[int, str] = {}
        for keys, marks in chosen_keys(list(of)):
            with self._reading() as database:
                # One text at a time: a document may have megabytes, while passages are short.
                for document, stored in database.execute(
                    f"SELECT document, text FROM texts WHERE document IN ({marks})", keys
                ):
                    kept = StoredText(stored)
                    found |= {row.id: kept.part(row.start, row.end) or "" for row in of[document]}
        for id, text in found.items():
            if text_hash(text) != hashes.get(id):
                raise self._damaged(f"the text of passage {id} was altered")
        return found

    def _passage(self, row: _Columns) -> PassageRow:
        id, document, ordinal, start, end, first_line, last_line, structure = row
        try:
            context, place = from_json(structure)
        except (ValueError, TypeError) as error:
            raise self._damaged(f"the context of passage {id} is not as it was written") from error
        return PassageRow(id, document, ordinal, start, end, first_line, last_line, context, place)
