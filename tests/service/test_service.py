"""What every face shares: opening, asking, and the shape of what is told."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import retrieval.encoders
from retrieval.errors import IndexCorrupted, InputError
from retrieval.index import Index, IndexStatus
from retrieval.service.json_shape import hits_as_dicts, report_as_dict, status_as_dict
from retrieval.service.opening import open_or_create, status_of
from retrieval.service.searching import SearchOptions, search
from retrieval.sync import SyncReport, sync
from retrieval.types import Hit, TokenMatch
from tests.index.fake_encoder import FakeEncoder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None, **_: FakeEncoder())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("the first note is about apples")
    (tmp_path / "notes" / "b.txt").write_text("the second note is about pears")
    return tmp_path


def test_an_index_is_made_once_and_then_opened(folder: Path) -> None:
    place = folder / "ix"
    with open_or_create(place, passage_tokens=64, late={"bits": 2, "pooling": None}) as index:
        assert (index.status().passage_tokens, index.status().late.bits) == (64, 2)
    with open_or_create(place, passage_tokens=64) as index:
        assert index.status().late.bits == 2
    for wrong, said in (
        ({"passage_tokens": 65}, "passage_tokens=64, not with passage_tokens=65"),
        ({"late": {"bits": 4}}, "bits=2, not with bits=4"),
        ({"late": {"bits": 3}}, "bits=3 cannot be used"),
    ):
        with pytest.raises(InputError, match=said):
            open_or_create(place, **wrong)  # type: ignore[arg-type]


SHAPE = {field.name for field in fields(Hit)} | {"heading", "symbol", "place"}


def test_an_answer_and_its_json_have_every_field(folder: Path) -> None:
    with open_or_create(folder / "ix") as index:
        report = sync(index, [folder / "notes"])
        answer = search(index, "pears", SearchOptions(k=1, retriever="late", explain=True))
        plain = search(index, "pears", SearchOptions(k=1, where='path == "notes/a.txt"'))
    (shape,) = hits_as_dicts(answer.hits, answer.matches)
    assert set(shape) == SHAPE | {"explain"}
    assert shape["document_id"] == "notes/b.txt"
    assert set(shape["explain"][0]) == {field.name for field in fields(TokenMatch)}
    assert plain.matches is None
    assert [set(hit) for hit in hits_as_dicts(plain.hits)] == [SHAPE]
    assert plain.hits[0].document_id == "notes/a.txt"
    facts = report_as_dict(report, folder / "ix")
    assert set(facts) == {field.name for field in fields(SyncReport)} | {"index"}
    assert facts["index"] == str(folder / "ix")


def test_only_late_interaction_is_explained() -> None:
    with pytest.raises(InputError, match="which 'dense' does not use"):
        SearchOptions(retriever="dense", explain=True)


def test_the_status_of_an_index_that_is_too_damaged_to_open(folder: Path) -> None:
    place = folder / "ix"
    with open_or_create(place) as index:
        sync(index, [folder / "notes"])
    sound, problems = status_of(place, verify=True)
    assert problems == []
    assert set(status_as_dict(sound, problems)) == {
        *(field.name for field in fields(IndexStatus)),
        "problems",
    }
    assert "problems" not in status_as_dict(*status_of(place, verify=False))
    for file in list((place / "segments").rglob("*")):
        if file.is_file():
            file.unlink()  # not cut short in place: a thread of tantivy's may still have it mapped
            file.write_bytes(b"")
    with pytest.raises(IndexCorrupted):
        Index.open(place)
    damaged, problems = status_of(place, verify=True)
    assert damaged is None
    assert problems
    assert status_as_dict(damaged, problems) == {"problems": problems}
    with pytest.raises(IndexCorrupted):
        status_of(place, verify=False)
