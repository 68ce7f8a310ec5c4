"""Documents looked up by path or id, their lines and outlines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import retrieval.encoders
from retrieval import Document, Index
from retrieval.errors import InputError
from retrieval.service.lookup import (
    file_of,
    find_document,
    lines_of,
    outline_of,
    query_like,
    with_path,
)
from retrieval.service.updating import update
from tests.index.fake_encoder import FakeEncoder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "nested.py").write_text(
        "@decorated\nclass A:\n    class B:\n        def c(self):\n            pass\n\n"
        "    def d(self):\n        pass\n\n\ndef e():\n    pass\n"
    )
    (tmp_path / "crlf.md").write_bytes(b"# One\r\n\r\ntext\r\n")
    with Index.create(tmp_path / ".retrieval") as opened:
        update(opened, [tmp_path])
        opened.add([Document("made", "# Heading\n\nby hand"), Document("other/../made", "odd id")])
        yield opened


@pytest.mark.parametrize("name", ["crlf.md", "./crlf.md", "a b/../crlf.md", "{base}/crlf.md"])
def test_a_path_is_found_however_it_is_written(index: Index, name: str) -> None:
    assert find_document(index, name.format(base=index.path.parent)).id == "crlf.md"


def test_an_id_comes_before_a_path(index: Index) -> None:
    assert find_document(index, "other/../made").text == "odd id"
    assert find_document(index, "made").text == "# Heading\n\nby hand"


def test_any_id_is_that_of_a_document_without_a_file(index: Index) -> None:
    index.add([Document("a\0b", "words")])
    document = index.get("a\0b")
    assert document is not None and file_of(index, document) is None


def test_lines_have_no_line_breaks(index: Index) -> None:
    lines = lines_of(find_document(index, "crlf.md"), 1, 99)
    assert (lines.first, lines.rows, lines.total) == (1, ["# One", "", "text"], 3)


def test_an_empty_text_has_no_lines() -> None:
    lines = lines_of(Document("empty", ""), 1, 5)
    assert (lines.rows, lines.total) == ([], 0)
    with pytest.raises(InputError, match="has 0 lines, so no line 2"):
        lines_of(Document("empty", ""), 2, 5)


def test_definitions_are_as_deep_as_they_lie_in_others(index: Index) -> None:
    found = outline_of(index, find_document(index, "a b/nested.py"))
    assert [(one.name, one.level, one.line, one.end_line) for one in found] == [
        ("A", 1, 2, 8),
        ("A.B", 2, 3, 5),
        ("A.B.c", 3, 4, 5),
        ("A.d", 2, 7, 8),
        ("e", 1, 11, 12),
    ]
    assert [one.signature for one in found][-1] == "def e()"


def test_what_came_from_no_file_has_no_outline(index: Index) -> None:
    with pytest.raises(InputError, match="did not come from a file"):
        outline_of(index, find_document(index, "made"))


def test_a_query_like_a_place_has_no_operators() -> None:
    text = 'say "never" -x\n'
    assert query_like(Document("a", text), 1).split() == ["say", "never", "x"]
    with pytest.raises(InputError, match="nothing at line 1"):
        query_like(Document("a", "\n\n"), 1)
    for line in (3, 4, 99):
        with pytest.raises(InputError, match=f"'a' has 2 lines, so no line {line}"):
            query_like(Document("a", "one\ntwo\n"), line)


@pytest.mark.parametrize(
    ("where", "glob", "ids"),
    [
        (None, None, 4),
        (None, "a b/*", 1),
        ('format == "markdown"', "*", 1),
        ('format == "markdown" or true', "a b/**", 1),
        ("", 'x"\\', 0),
    ],
)
def test_a_glob_narrows_a_filter(
    index: Index, where: str | None, glob: str | None, ids: int
) -> None:
    assert index.count(with_path(where, glob)) == ids
