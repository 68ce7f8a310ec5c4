"""`Writer.put` of a document that had another id, followed by others in the same writing call."""

from __future__ import annotations

import pytest

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.index.ready import Ready
from retrieval.types import Document

from .fake_encoder import FakeEncoder

TEXT = "a fox went by"


@pytest.fixture
def held(index: Index, encoder: FakeEncoder) -> Index:
    """An index of `old` and `older`."""
    index.add([Document("old", TEXT), Document("older", "a cow stood still")])
    encoder.encoded.clear()
    return index


def texts(index: Index) -> dict[str, str]:
    assert index.verify() == []
    return {id: document.text for id in index.ids() if (document := index.get(id))}


def test_what_moved_is_gone_when_its_new_id_is_put_again(held: Index, encoder: FakeEncoder) -> None:
    with held.writing() as writer:
        assert writer.put(Document("new", TEXT), moved_from="old") == "moved"
        assert writer.put(Document("new", TEXT, "Title")) == "again"
        assert writer.put(Document("new", TEXT, metadata={"n": 1})) == "again"
    assert texts(held) == {"new": TEXT, "older": "a cow stood still"}
    assert encoder.encoded == [], "the old one's vectors are kept"


def test_what_has_its_old_id_then_is_another_document(held: Index) -> None:
    with held.writing() as writer:
        writer.put(Document("new", TEXT), moved_from="old")
        writer.put(Document("old", "a fresh one"))
        writer.put(Document("new", "a dog barked"))
    assert texts(held) == {
        "new": "a dog barked",
        "old": "a fresh one",
        "older": "a cow stood still",
    }


def test_all_go_that_it_was_said_to_have_been(held: Index) -> None:
    with held.writing() as writer:
        writer.put(Document("new", TEXT), moved_from="old")
        writer.put(Document("new", TEXT), moved_from="older")
    assert texts(held) == {"new": TEXT}


def test_one_goes_though_its_new_id_was_taken(held: Index) -> None:
    with held.writing() as writer:
        assert writer.put(Document("older", TEXT), moved_from="old") == "updated"
    assert texts(held) == {"older": TEXT}
    held.add([Document("old", TEXT)])
    with held.writing() as writer:
        assert writer.put(Document("older", TEXT), moved_from="old") == "unchanged"
    assert texts(held) == {"older": TEXT}


def test_two_cannot_both_have_been_it(held: Index) -> None:
    with held.writing() as writer:
        assert writer.put(Document("new", TEXT), moved_from="old") == "moved"
        assert writer.put(Document("newer", TEXT), moved_from="old") == "added"
    assert texts(held) == {"new": TEXT, "newer": TEXT, "older": "a cow stood still"}


def test_what_cannot_be_put_takes_nothing_back(held: Index) -> None:
    with held.writing() as writer:
        writer.put(Document("new", TEXT), moved_from="old")
        with pytest.raises(InputError):
            writer.put(Document("new", TEXT), ready=Ready(spans=((0, 99),)))
    assert texts(held) == {"new": TEXT, "older": "a cow stood still"}
