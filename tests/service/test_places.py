"""What a hit is called leads back to it."""

from __future__ import annotations

import mailbox
import os
import sys
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

import retrieval.encoders
from retrieval import Document, Index
from retrieval.errors import InputError
from retrieval.service.hit_names import name_of
from retrieval.service.location import shown
from retrieval.service.places import LONGEST_ROW, find_place, to_open
from retrieval.service.printable import safe
from retrieval.service.updating import Given, update
from tests.index.fake_encoder import FakeEncoder

PDF = Path(__file__).parents[1] / "documents" / "pdf" / "files" / "tex.pdf"
WORDS = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "long.md").write_text(f"# Top\n\n## First\n\nalpha\n{WORDS}\n\n## Second\n\nomega\n")
    (docs / "crlf.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (docs / "wide.txt").write_text("wide " * 3000)
    (docs / "code.py").write_text("class Pump:\n    def start(self):\n        return 'valve'\n")
    (docs / "rows.jsonl").write_text(
        '{"_id": "first", "text": "red"}\n\n{"_id": "third", "text": "green"}\n'
    )
    (docs / "mill.pdf").write_bytes(PDF.read_bytes())
    (docs / "notes.ipynb").write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [\n{"cell_type": "markdown",'
        ' "metadata": {}, "source": ["# Notes\\n", "\\n", "turbine"]}]}'
    )
    with zipfile.ZipFile(docs / "store.zip", "w") as archive:
        archive.writestr("first.txt", "barley\n")
        archive.writestr("a b/second.txt", "oats\n\ngranary\n")
        archive.writestr("rows.jsonl", '{"text": "rye"}\n{"text": "weevil"}\n')
    box = mailbox.mbox(docs / "mails.mbox")
    for number in (1, 2):
        message = EmailMessage()
        message["Subject"], message["From"] = f"Message {number}", "a@example.org"
        message["Message-ID"] = f"<m{number}@example.org>"
        message.set_content(f"Dear miller,\n\nthe message {number} is enclosed.\n")
        message.add_attachment(f"line one\nenclosure{number}\n", filename="note.txt")
        box.add(message)
    box.close()
    with Index.create(tmp_path / ".retrieval") as opened:
        update(opened, [docs, docs / "store.zip"])
        opened.add([Document("made/1", "by hand\nand more")])
        yield opened


WANTED = (
    *("alpha", "omega", "three", "valve", "green", "turbine", "superintendent"),
    *("enclosed", "enclosure2", "hand", "word399", "granary", "weevil"),
)


def test_a_row_of_a_table_is_called_by_its_id(index: Index, tmp_path: Path) -> None:
    table = tmp_path / "docs" / "table.csv"
    table.write_text("name,city\n" + "".join(f"person{n},town{n}\n" for n in range(12)))
    update(index, [table], Given(rows=True))
    (hit,) = index.search("town7", k=1, retriever="lexical")
    name = name_of(hit, index.path, hit.highlights[0][0])
    found = find_place(index, name, here=Path.cwd())
    assert (found.document.id, found.lines.rows[found.line - 1]) == (hit.document_id, "city: town7")
    with pytest.raises(InputError, match="holds 12 documents, none with lines of the file"):
        find_place(index, f"{table}:8", here=Path.cwd())


@pytest.mark.parametrize("query", WANTED)
@pytest.mark.parametrize("here", ["docs", ".", "/"])
def test_what_a_hit_is_called_leads_to_its_line(
    index: Index, query: str, here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / here)
    (hit,) = index.search(query, k=1, retriever="lexical")
    at, _ = hit.highlights[0]
    found = find_place(index, name_of(hit, index.path, at), here=Path.cwd())
    assert (found.document.id, found.path) == (hit.document_id, hit.path)
    assert query in "\n".join(found.lines.rows)
    if "line" not in hit.metadata:
        assert query in found.lines.rows[found.line - found.lines.first]


ODD = (
    b"two\nlines.md", b"tab\there.md", b"caf\xe9.md", b"esc\x1b[31m.md",
    b"zero\xe2\x80\x8bwidth.md",
    b"turned\xe2\x80\xaearound.md", b"in a\nfolder/deep.md", b"b\xf6gen/\xe9t\xe9.md", b" blank.md",
)  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
@pytest.mark.parametrize("here", [".", "docs", "/"])
def test_what_a_file_of_any_name_is_shown_as_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())
    (tmp_path / "docs").mkdir()
    for number, name in enumerate(ODD):
        file = tmp_path / "docs" / os.fsdecode(name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# Top\n\nword{number}\n")
    with Index.create(tmp_path / ".retrieval") as index:
        update(index, [tmp_path / "docs"])
        monkeypatch.chdir(tmp_path / here)
        for number, name in enumerate(ODD):
            (hit,) = index.search(f"word{number}", k=1, retriever="lexical")
            for called in (name_of(hit, index.path, 8), safe(name_of(hit, index.path, 8))):
                found = find_place(index, called, here=Path.cwd())
                assert (found.document.id, found.line) == (hit.document_id, 3)
            opened = to_open(index, found)
            assert os.fsencode(opened.file) == os.fsencode(tmp_path / "docs") + b"/" + name
            assert opened.line == 3
            # As a shell completes it.
            typed = f"{os.path.relpath(opened.file)}:3"
            assert find_place(index, typed, here=Path.cwd()).document.id == hit.document_id


def test_a_name_that_several_files_are_shown_by_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())
    with Index.create(tmp_path / ".retrieval") as index:
        index.add([Document("a\nb", "one"), Document("a\rb", "two"), Document("c\td", "three")])
        with pytest.raises(InputError, match="stands for 2 names, such as 'a"):
            find_place(index, "a b:1", here=tmp_path)
        assert find_place(index, "c    d", here=tmp_path).document.text == "three"
        for lost in ("a\0b", "a\udfffb", "a\ud800", "c   d"):
            with pytest.raises(InputError, match="holds no document"):
                find_place(index, lost, here=tmp_path)


def test_a_line_has_its_passage_with_context_or_as_many_lines_as_wanted(index: Index) -> None:
    found = find_place(index, "docs/long.md:10", here=index.path.parent)
    assert found.lines.rows == ["## Second", "", "omega"]
    assert found.passage is not None
    assert found.passage.context.headings == ("Top", "Second")
    around = find_place(index, "docs/long.md:10", here=index.path.parent, around=1)
    assert (around.lines.first, around.lines.rows) == (9, ["", "omega"])
    alone = find_place(index, "docs/code.py:2", here=index.path.parent, around=0)
    assert alone.lines.rows == ["    def start(self):"]


def test_a_path_is_relative_to_the_folder_one_stands_in_and_then_to_the_index(
    index: Index, tmp_path: Path
) -> None:
    for name, here in (
        ("long.md:5", tmp_path / "docs"),
        ("docs/long.md:5", tmp_path / "docs"),
        ("../docs/long.md:5:7", tmp_path / "docs"),
        (f"{tmp_path}/docs/long.md:5:", Path("/")),
    ):
        found = find_place(index, name, here=here)
        assert (found.path, found.line) == ("docs/long.md", 5)


def test_a_document_without_a_line_begins_with_its_first(index: Index) -> None:
    assert find_place(index, "made/1", here=Path("/")).line == 1
    assert find_place(index, "docs/rows.jsonl", here=index.path.parent).document.id == "first"
    assert find_place(index, "docs/rows.jsonl:2", here=index.path.parent).document.id == "first"
    assert find_place(index, "docs/rows.jsonl:3", here=index.path.parent).document.id == "third"


def test_the_page_is_that_of_the_line_and_not_of_its_passage(index: Index) -> None:
    document = index.get("docs/mill.pdf")
    assert document is not None
    lines = document.text.split("\n")
    (turn,) = (n for n, line in enumerate(lines, start=1) if line.startswith("Temperature"))
    found = [
        find_place(index, f"docs/mill.pdf:{number}", here=index.path.parent)
        for number in range(1, len(lines) + 1)
    ]
    assert [one.place.page for one in found] == [1] * (turn - 2) + [2] * (len(lines) - turn + 2)
    passage = found[turn - 1].passage
    assert passage is not None
    assert passage.place.page == 1


def test_of_a_very_long_line_the_passages_part_is_shown(index: Index) -> None:
    found = find_place(index, "docs/wide.txt:1", here=index.path.parent)
    assert 0 < len(found.lines.rows[0]) <= LONGEST_ROW + 1
    assert found.lines.rows[0].endswith("…")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docs/none.md:3", "holds no document"),
        ("docs/long.md:99", "has 10 lines, so no line 99"),
        ("docs/long.md:x", "holds no document"),
        (":3", "holds no document"),
        ("a\0b", "holds no document"),
        ("docs/\ud800:1", "holds no document"),
    ],
)
def test_what_leads_nowhere_is_said(index: Index, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_place(index, name, here=index.path.parent)


@pytest.mark.parametrize(
    ("name", "file", "line"),
    [
        ("docs/long.md:5", "docs/long.md", 5),
        ("docs/crlf.txt:3", "docs/crlf.txt", 3),
        ("docs/rows.jsonl:3", "docs/rows.jsonl", 3),
        ("docs/notes.ipynb:2", "docs/notes.ipynb", 1),
        ("docs/mill.pdf:9", "docs/mill.pdf", None),
    ],
)
def test_a_file_is_opened_at_its_own_line(
    index: Index, name: str, file: str, line: int | None
) -> None:
    target = to_open(index, find_place(index, name, here=index.path.parent))
    assert target.file == index.path.resolve().parent / file
    assert target.line == line


def test_there_must_be_a_file_to_open(index: Index) -> None:
    with pytest.raises(InputError, match="came from no file"):
        to_open(index, find_place(index, "made/1", here=Path("/")))
    found = find_place(index, "docs/long.md:5", here=index.path.parent)
    (index.path.parent / "docs" / "long.md").unlink()
    with pytest.raises(InputError, match="cannot be opened"):
        to_open(index, found)
    assert shown(index.path, "docs/long.md") == "docs/long.md"
