"""Files to documents: what each kind gives, and every file that gives nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieval.documents import ReadResult, SourceFile, chunk, discover, read
from retrieval.documents.formats import format_of
from retrieval.errors import DocumentError

from .tokenizers_for_tests import WORDS


def source(folder: Path, name: str, content: bytes) -> SourceFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return SourceFile(path, name, len(content), 0)


def give(folder: Path, name: str, content: bytes) -> ReadResult:
    return read(source(folder, name, content))


@pytest.mark.parametrize(
    ("name", "content", "title", "fields"),
    [
        ("a/b.txt", b"one\r\ntwo\n", "", {"format": "text", "role": "docs"}),
        ("a.md", b"# T\n\ntext", "T", {"format": "markdown", "role": "docs"}),
        ("a.RST", b"T\n===\n\ntext", "T", {"format": "rst", "role": "docs"}),
        ("a.md", b"---\nrole: lead\n---\ntext", "", {"format": "markdown", "role": "lead"}),
        (
            "a.py",
            b"# no title\nx = 1\n",
            "",
            {"format": "code", "language": "python", "role": "source"},
        ),
        ("NOTES", b"text", "", {"format": "text", "role": "docs"}),
    ],
)
def test_a_file_is_one_document_with_the_text_as_it_stands(
    tmp_path: Path, name: str, content: bytes, title: str, fields: dict[str, str]
) -> None:
    result = give(tmp_path, name, content)
    (document,) = result.documents
    assert (document.id, document.text, document.title) == (name, content.decode(), title)
    assert document.metadata == {
        "path": name,
        "extension": Path(name).suffix.lower(),
        **fields,
    }
    assert result.problems == []
    assert result.content_hash == hashlib.sha256(content).hexdigest()


def test_a_record_keeps_the_role_that_it_has(tmp_path: Path) -> None:
    (document,) = give(tmp_path, "talk.jsonl", b'{"role": "user", "text": "x"}\n').documents
    assert document.metadata["role"] == "user"


def test_html_gives_its_text_on_the_lines_of_the_source(tmp_path: Path) -> None:
    content = b"<title>T</title>\n<script>\nx\n</script>\n<p>needle</p>\n"
    (document,) = give(tmp_path, "a.html", content).documents
    assert document.title == "T"
    assert document.text.split("\n")[4].strip() == "needle"


def test_jsonl_gives_a_document_a_line_and_a_problem_a_broken_line(tmp_path: Path) -> None:
    result = give(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"id": 1, "text": "a"}\n{"id"\n{"text": "b"}')
    assert [document.id for document in result.documents] == ["1", "a.jsonl#L3"]
    assert result.documents[1].metadata["line"] == 3
    assert [problem.split(": ")[0] for problem in result.problems] == ["a.jsonl:2"]


def test_an_encoding_that_had_to_be_guessed_is_a_problem_that_names_the_file(
    tmp_path: Path,
) -> None:
    result = give(tmp_path, "a.txt", b"caf\xe9")
    assert result.documents[0].text == "café"
    assert result.problems[0].startswith("a.txt: not UTF-8 (byte 0xe9 at offset 3)")


def test_utf16_is_text_and_so_is_what_a_few_nuls_strayed_into(tmp_path: Path) -> None:
    assert give(tmp_path, "a.txt", "text".encode("utf-16")).documents[0].text == "text"
    content = b"a" * 9000 + b"\0" + b"b"
    assert give(tmp_path, "b.txt", content).documents[0].text == content.decode().replace("\0", " ")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "a.txt: is empty"),
        ("a.txt", b"a\0b", "a.txt: a binary file"),
        ("a.txt", b"a" * 8192 + b"\0\1" * 4096, "a.txt: a binary file"),
        ("a.jsonl", b"\n \n", "a.jsonl: holds no record"),
        ("a.jsonl", b"{x\n[]\n1\n", r"a.jsonl:1: not JSON.* \(and 2 more like it\); no record"),
        ("a\nb.txt", b"", r"a\\nb.txt: is empty"),
    ],
)
def test_a_file_that_gives_nothing_is_an_error(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        give(tmp_path, name, content)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_gone_or_no_file_any_more_is_an_error(tmp_path: Path) -> None:
    gone = source(tmp_path, "a.txt", b"x")
    gone.path.unlink()
    with pytest.raises(DocumentError, match=r"a\.txt: is gone since it was found"):
        read(gone)
    gone.path.mkdir()
    with pytest.raises(DocumentError, match=r"a\.txt: cannot be read"):
        read(gone)
    gone.path.rmdir()
    os.mkfifo(gone.path)
    with pytest.raises(DocumentError, match=r"a\.txt: cannot be read \(not a regular file\)"):
        read(gone)


def test_a_file_that_the_system_refuses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = source(tmp_path, "a.txt", b"x")

    def refuse(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DocumentError, match=r"a\.txt: cannot be read \(Permission denied\)"):
        read(refused)


@pytest.mark.parametrize("opening", [b" ", b"\n", b"\r\n", b"<!-- -->\n", b"<?xml ?>\n", b"\n<!--"])
def test_a_file_without_an_extension_is_told_in_a_time_that_its_opening_does_not_multiply(
    opening: bytes,
) -> None:
    """As the licence of Apache begins: with an empty line and 33 blanks."""
    for head in (opening * 26 + b"Apache License", (opening * 8192)[:8192]):
        begun = time.process_time()
        assert format_of("LICENSE", head).name in {"text", "xml"}
        assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "opening", [b"", b"\xef\xbb\xbf", b" \n<!-- a -->\n<!-- b -->\r\n", b"<?xml?>"]
)
def test_a_page_is_told_by_how_it_begins(opening: bytes) -> None:
    for start in (b"<!DOCTYPE html>", b"<!doctype  HTML>", b"<html>", b"<html lang='en'>"):
        assert format_of("page", opening + start).name == "html"
    assert format_of("page", opening + b"<htmlx>").name != "html"


def test_a_folder_becomes_passages_that_stand_in_its_files(tmp_path: Path) -> None:
    files = {
        "a.md": "# A\r\n\r\n" + "word " * 50 + "\r\n\r\n## B\r\n\r\nthe néedle\r\n",
        "b/c.py": "def f():\n    return 1\n\n\ndef g():\n    return 2\n",
    }
    for name, content in files.items():
        source(tmp_path, name, content.encode())
    found = 0
    for file in discover([tmp_path], tmp_path):
        for document in read(file).documents:
            written = file.path.read_bytes().decode()
            for passage in chunk(document, WORDS, max_tokens=16):
                assert written[passage.start : passage.end] in files[passage.document_id]
                assert document.text[passage.start : passage.end].strip()
                found += 1
    assert found > 4


def test_nothing_heavy_is_imported_with_the_package() -> None:
    heavy = [
        "torch",
        "transformers",
        "faiss",
        "onnxruntime",
        "tantivy",
        "tokenizers",
        "markdown_it",
    ]
    program = f"import sys, retrieval.documents; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.vcf", b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n"),
        ("a.vcf", b"BEGIN:VCARD\nFN"),
        ("a.csv", b"a,b\n"),
        ("a.jsonl", b"{}\n"),
    ],
)
def test_a_file_of_documents_that_gives_none_is_named(
    tmp_path: Path, name: str, content: bytes
) -> None:
    try:
        result = give(tmp_path, name, content)
    except DocumentError as error:
        assert str(error).startswith(f"{name}:")
    else:
        assert result.documents or result.problems
