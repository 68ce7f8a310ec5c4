"""Texts as token ids on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lab.text.corpus import Record, read_records
from lab.text.tokens import Documents, open_documents, tokenise_to_folder
from retrieval.errors import InputError
from retrieval.types import ProgressUpdate
from tests.encoders.random_models import byte_bpe, wordpiece

RECORDS = [
    {"text": "the quick brown fox", "title": "dog"},
    {"text": ""},
    {"text": "lazy \ud800 dog", "query": "search"},
    {"text": "late interaction of vectors " * 20_000},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_come_back_as_the_tokenizer_has_them(tmp_path: Path) -> None:
    told: list[ProgressUpdate] = []

    for name, tokenizer in (("wordpiece", wordpiece()), ("bytes", byte_bpe())):
        own = tokenizer.backend_tokenizer
        file = write(tmp_path / "a.jsonl", RECORDS)
        found = tokenise_to_folder(
            tmp_path / name, [file], read_records([file]), own, progress=told.append
        )
        texts = ["dog\nthe quick brown fox", "", "lazy � dog", RECORDS[3]["text"]]
        assert len(found) == 4
        for at, text in enumerate(texts):
            ids = found.ids[found.offsets[at] : found.offsets[at + 1]]
            assert ids.tolist() == own.encode(text, add_special_tokens=False).ids
        assert told[-1] == ProgressUpdate("tokenising", len(found.ids), None, "tokens")
        assert isinstance(found.ids, np.memmap) and found.ids.dtype == np.uint16
        assert not (tmp_path / name / "ids.part").exists()


def _never() -> list[Record]:
    raise AssertionError("read again")
    yield


def test_what_was_written_is_read_until_its_sources_change(tmp_path: Path) -> None:
    own = wordpiece().backend_tokenizer
    file = write(tmp_path / "a.jsonl", RECORDS[:1])

    def read(records: object = None) -> Documents:
        return tokenise_to_folder(tmp_path / "ids", [file], records or read_records([file]), own)  # type: ignore[arg-type]

    first = read()
    assert read(_never()).digest == first.digest
    write(file, RECORDS[:3])
    second = read()
    assert len(second) == 3 and second.digest != first.digest
    (tmp_path / "ids" / "about.json").write_text("{")
    assert read().digest == second.digest


def test_the_digest_tells_where_texts_end(tmp_path: Path) -> None:
    own = wordpiece().backend_tokenizer
    digests = set()
    for name, rows in (("a", [{"text": "fox dog"}]), ("b", [{"text": "fox"}, {"text": "dog"}])):
        file = write(tmp_path / f"{name}.jsonl", rows)
        digests.add(tokenise_to_folder(tmp_path / name, [file], read_records([file]), own).digest)
    assert len(digests) == 2


def test_what_cannot_be_used(tmp_path: Path) -> None:
    own = wordpiece().backend_tokenizer
    file = write(tmp_path / "a.jsonl", [{"text": ""}])
    with pytest.raises(InputError, match="every text is empty"):
        tokenise_to_folder(tmp_path / "ids", [file], read_records([file]), own)
    with pytest.raises(InputError, match="remove the folder"):
        open_documents(tmp_path / "ids")
