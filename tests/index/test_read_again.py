"""What is encoded when a document changes, when its format does, and when packages add formats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import Document
from retrieval.documents.formats import Format, Parsed, Source, register, table
from retrieval.documents.outline import Heading, Outline, parts_of, sections_of
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.sync import sync

from .fake_encoder import FakeEncoder
from .source_files import write

WORDS = " ".join(f"w{n}" for n in range(30))


@pytest.fixture
def index(tmp_path: Path, encoder: FakeEncoder) -> Iterator[Index]:
    """With passages that are long enough for a context."""
    with Index.create(tmp_path / ".retrieval", encoder=encoder, passage_tokens=64) as made:
        yield made


@pytest.fixture(autouse=True)
def own_formats() -> Iterator[None]:
    yield
    table._table._given.clear()
    table._table._formats = None


def minutes(version: int, mark: str = ":") -> Format:
    """Lines that end with a mark are headings; the marks' meaning may change with the version."""

    def parse(data: bytes, source: Source) -> Parsed:
        text = data.decode()
        headings, start = [], 0
        for line in text.splitlines(keepends=True):
            if line.rstrip().endswith(mark):
                headings.append(Heading(start, start + len(line), 1, line.strip(f" {mark}\n")))
            start += len(line)
        sections = sections_of(text, headings)
        return Parsed(text, outline=Outline(sections, parts=parts_of(text, sections)))

    return Format("minutes", version, parse, (".minutes",))


def test_only_passages_whose_text_or_context_changed_are_encoded(
    index: Index, encoder: FakeEncoder
) -> None:
    parts = {name: f"## {name}\n\n{name.lower()} {WORDS}\n\n" for name in ("One", "Two", "Three")}
    metadata = {"format": "markdown"}
    index.add([Document("d", "".join(parts.values()), metadata=metadata)])
    encoder.encoded.clear()
    parts["Two"] = parts["Two"].replace("w7", "changed")
    index.add([Document("d", "first words\n\n" + "".join(parts.values()), metadata=metadata)])
    assert all("changed" in text or "first words" in text for text in encoder.encoded)
    assert 1 <= len(encoder.encoded) <= 2
    for query in ("one", "three", "changed"):
        (hit,) = index.search(query, k=1, retriever="lexical")
        document = index.get("d")
        assert document is not None
        span = slice(hit.passage.start, hit.passage.end)
        assert document.text[span] == hit.text
    assert index.verify() == []
    encoder.encoded.clear()
    index.add([Document("d", "first words\n\n" + "".join(parts.values()), "T", metadata)])
    assert encoder.encoded  # the title is read in front of each
    assert index.verify() == []


def test_a_newer_version_of_a_format_reads_its_files_again(
    index: Index, encoder: FakeEncoder, tmp_path: Path
) -> None:
    register(minutes(1))
    folder = tmp_path / "notes"
    write(folder / "a.minutes", f"Budget:\none {WORDS}\nStaff!\ntwo {WORDS}\n")
    write(folder / "b.txt", "untouched")
    sync(index, [folder])
    (hit,) = index.search("two", k=1, retriever="lexical")
    assert hit.heading == "Budget"
    assert sync(index, [folder]).unchanged == 2
    encoder.encoded.clear()
    register(minutes(2, "!"))
    sync(index, [folder])
    assert encoder.encoded
    assert not any("untouched" in text for text in encoder.encoded)
    (hit,) = index.search("two", k=1, retriever="lexical")
    assert hit.heading == "Staff"
    encoder.encoded.clear()
    register(replace(minutes(2, "!"), version=3))
    sync(index, [folder])
    assert encoder.encoded == []  # read again, and nothing of it has changed
    assert index.verify() == []


def test_what_cannot_be_a_format_is_refused() -> None:
    with pytest.raises(InputError, match="is not a format"):
        register("minutes")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the format name 'My Minutes' cannot be used"):
        register(replace(minutes(1), name="My Minutes"))
    with pytest.raises(InputError, match=r"the suffix 'minutes' .* begin with a dot"):
        register(replace(minutes(1), suffixes=("minutes",)))


def test_an_installed_package_adds_formats_and_a_broken_one_is_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    write(
        site / "shouting.py",
        "from retrieval.documents.formats import Format, Parsed\n"
        "def parse(data, source):\n"
        "    return Parsed(data[4:].decode().lower(), title='Shouted')\n"
        "SHOUT = Format('shout', 1, parse, ('.pdf',), binary=True)\n",
    )
    points = "[retrieval.formats]\nshout = shouting:SHOUT\nbroken = shouting:MISSING\n"
    write(site / "shouting-1.0.dist-info" / "entry_points.txt", points)
    write(site / "shouting-1.0.dist-info" / "METADATA", "Name: shouting\nVersion: 1.0\n")
    write(tmp_path / "docs" / "a.pdf", b"\0\1\2\3THE OTTER SLEEPS")
    write(tmp_path / "docs" / "b.txt", "the heron wakes")
    program = (
        "import sys; from pathlib import Path; from retrieval import Index\n"
        "from retrieval.sync import sync\n"
        "with Index.create('ix') as index:\n"
        "    report = sync(index, [Path('docs')])\n"
        "    print(report.added, *report.problems, sep='|')\n"
        "    hit = index.search('otter', k=1, retriever='lexical')[0]\n"
        "    print(hit.document_id, hit.title, hit.text, hit.metadata['format'])\n"
    )
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told, found = done.stdout.splitlines()
    assert told.startswith("2|the format 'broken' of shouting cannot be used (")
    assert told.count("|") == 1
    assert found == "docs/a.pdf Shouted the otter sleeps shout"
