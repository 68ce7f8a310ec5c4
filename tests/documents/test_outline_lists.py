"""An outline goes to other processes and storages as lists, and comes back as it was."""

from __future__ import annotations

import json

import pytest

from retrieval.documents.formats.format import Parsed, Source
from retrieval.documents.formats.org import FORMATS
from retrieval.documents.outline_lists import outline_as_lists, outline_of


def test_headings_of_any_depth_come_back() -> None:
    text = "".join(
        f"{'*' * depth} Heading {depth}\n\nText.\n\n" for depth in (1, 99, 100, 101, 300)
    )
    parsed = FORMATS[0].parse(text.encode(), Source("notes.org"))
    assert isinstance(parsed, Parsed)
    lists = json.loads(json.dumps(outline_as_lists(parsed.outline)))
    assert outline_as_lists(outline_of(parsed.text, lists)) == lists
    assert [section.level for section in parsed.outline.sections] == [1, 99, 100, 100, 100]


@pytest.mark.parametrize("lists", [None, 1, [], [[]] * 6, [[], [], [], [], []], {"sections": []}])
def test_what_is_no_outline_is_refused(lists: object) -> None:
    with pytest.raises(ValueError):
        outline_of("text", lists)
