"""Archives: their files as documents, what is passed over, and archives made to do harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path

import pytest

from retrieval.documents import SourceFile, WalkOptions, discover, read
from retrieval.documents.formats import Parsed, Source, archives, format_of
from retrieval.documents.formats.archives import members
from retrieval.documents.walk import Reason
from retrieval.errors import DocumentError

from .outlines_for_tests import check

FILES = {
    "read me.md": b"# The mill\n\nIt has pumps.\n",
    "src/pump.py": b"def flow():\n    return 7\n",
    ".hidden": b"not shown",
    "__MACOSX/x.md": b"not shown",
    "picture.png": b"\x89PNG\0\0",
    "empty.txt": b"",
}


def zipped(files: Mapping[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(files: Mapping[str, bytes], kind: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def documents(name: str, data: bytes) -> list[Parsed]:
    format = format_of(name, data[:8192])
    assert format.archive and format.binary and format.isolated
    made = format.parse(data, Source(name))
    assert not isinstance(made, Parsed)
    found = list(made)
    for one in found:
        check(one.text, one.outline)
    return found


def refused(name: str, data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        documents(name, data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d/a.zip", zipped(FILES)),
        ("d/a.ZIP", zipped(FILES, zipfile.ZIP_LZMA)),
        ("d/a.tar", tarred(FILES)),
        ("d/a.tar.gz", tarred(FILES, "gz")),
        ("d/a.tgz", tarred(FILES, "gz")),
        ("d/a.tar.bz2", tarred(FILES, "bz2")),
        ("d/a.tar.xz", tarred(FILES, "xz")),
    ],
)
def test_each_file_is_a_document_by_its_format(name: str, data: bytes) -> None:
    text, code = documents(name, data)
    assert (text.id, text.format, text.title) == (f"{name}!/read me.md", "markdown", "The mill")
    assert (code.id, code.format) == (f"{name}!/src/pump.py", "code")
    assert code.metadata["member"] == "src/pump.py"
    assert [block.name for block in code.outline.blocks] == ["flow"]
    assert code.outline.marks[0].value == "src/pump.py"
    assert text.problems == code.problems == ()


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.txt.gz", gzip.compress), ("a.txt.bz2", bz2.compress), ("a.txt.xz", lzma.compress)],
)
def test_a_file_that_is_packed_alone_is_called_by_the_rest_of_its_name(name: str, pack) -> None:  # type: ignore[no-untyped-def]
    (one,) = documents(f"d/{name}", pack(b"words of a text"))
    assert (one.id, one.text, one.format) == (f"d/{name}!/a.txt", "words of a text", "text")


def test_packed_files_that_have_a_format_keep_it() -> None:
    assert format_of("a.jsonl.gz").name == "jsonl"
    assert format_of("a.html.gz").name == "html-gz"
    assert not format_of("a.docx").archive


def test_archives_in_archives_are_read_to_a_depth() -> None:
    data = zipped({"a.txt": b"the innermost"})
    for depth in range(3):
        data = zipped({f"{depth}.zip": data, "own.txt": b"own %d" % depth})
    found = documents("top.zip", data)
    assert [one.text for one in found] == ["own 0", "own 1", "own 2"]
    assert found[0].id == "top.zip!/2.zip!/1.zip!/own.txt"
    assert found[0].metadata["member"] == "2.zip!/1.zip!/own.txt"
    assert found[-1].problems == ("2.zip!/1.zip!/0.zip: is an archive in 3 others; not read",)


def test_paths_that_lead_out_and_links_are_passed_over() -> None:
    outside = {"../up.txt": b"x", "/root.txt": b"x", "a/../../b.txt": b"x", "c:\\d.txt": b"x"}
    (one,) = documents("a.zip", zipped({**outside, "in/./it.txt": b"kept"}))
    assert (one.id, one.text) == ("a.zip!/in/it.txt", "kept")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            link = tarfile.TarInfo(f"link{kind!r}.txt")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
    assert refused("a.tar", packed.getvalue()) == "holds no file that can be read, of 0 in it"
    link_in_zip = zipfile.ZipInfo("link.txt")
    link_in_zip.external_attr = 0o120777 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr(link_in_zip, "/etc/passwd")
    assert refused("a.zip", packed.getvalue()).startswith("holds no file")


def test_a_bad_file_costs_itself() -> None:
    files = {"bad.pdf": b"no PDF", "bad.ipynb": b"{", "good.txt": b"good"}
    (one,) = documents("a.zip", zipped(files))
    assert one.text == "good"
    assert one.problems[0] == "bad.pdf: is not a PDF file (it does not begin with %PDF-)"
    assert one.problems[1].startswith("bad.ipynb: is not a readable notebook")
    damaged = bytearray(zipped({"a.txt": b"words " * 99, "b.txt": b"good"}))
    damaged[45] ^= 255
    (one,) = documents("a.zip", bytes(damaged))
    assert (one.text, len(one.problems)) == ("good", 1)
    assert one.problems[0].startswith("a.txt: is damaged (")


def test_what_comes_before_damage_is_read() -> None:
    whole = tarred({"a.txt": b"first", "b.txt": bytes(range(256)) * 999}, "gz")
    (one,) = documents("a.tar.gz", whole[: len(whole) // 2])
    assert one.text == "first"
    assert one.problems[0].startswith("is an archive that is damaged (")
    assert refused("a.zip", b"PK\3\4 and no more").startswith("is an archive that is damaged (")
    assert refused("a.tar", b"text") == ("is not a readable archive (zip, tar, gzip, bzip2 or xz)")


@pytest.mark.slow
def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = b"\0" * (40 << 20)
    said = "unpacks to more than 300 times its size, as bombs do"
    (one,) = documents("a.zip", zipped({"bomb.txt": bomb, "good.txt": b"good"}))
    assert (one.text, one.problems) == ("good", (f"bomb.txt: {said}",))
    assert refused("a.txt.gz", gzip.compress(bomb)) == said
    assert refused("a.tgz", tarred({"bomb.txt": bomb}, "gz")) == said
    monkeypatch.setattr(members, "MAX_UNPACKED", 1 << 20)
    budget = members.Budget
    monkeypatch.setattr(archives, "Budget", lambda: budget(members.MAX_MEMBERS, 1 << 20))
    many = {f"{at}.txt": b"%d " % at * 100_000 for at in range(9)}
    for name, data in (
        ("a.zip", zipped(many)),
        ("a.tar", tarred(many)),
        ("a.tgz", tarred(many, "gz")),
        ("b.zip", zipped({"inner.zip": zipped(many)})),
    ):
        found = documents(name, data)
        assert 0 < len(found) < 9
        assert (
            found[-1]
            .problems[-1]
            .endswith("holds more than 1 MB unpacked; what comes after was not read")
        )
    large = random.Random(1).randbytes(2 << 20)
    assert refused("a.xz", lzma.compress(large)).startswith("holds more than 1 MB unpacked")


def test_there_may_not_be_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 3)
    budget = members.Budget
    monkeypatch.setattr(archives, "Budget", lambda: budget(3, members.MAX_UNPACKED))
    many = {f"{at}.txt": b"words" for at in range(9)}
    for name, data in (("a.zip", zipped(many)), ("a.tar", tarred(many))):
        found = documents(name, data)
        assert len(found) == 3
        assert found[-1].problems == ("holds more than 3 files; what comes after was not read",)


def test_one_file_may_not_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBER", 1000)
    for name, data in (
        ("a.zip", zipped({"a.txt": b"words " * 999, "b.txt": b"good"})),
        ("a.tar", tarred({"a.txt": b"words " * 999, "b.txt": b"good"})),
    ):
        (one,) = documents(name, data)
        assert (one.text, one.problems) == ("good", ("a.txt: has more than 0 MB unpacked",))


def test_what_is_encrypted_says_so() -> None:
    data = bytearray(zipped({"secret.txt": b"words", "good.txt": b"good"}, zipfile.ZIP_STORED))
    central = data.index(b"PK\1\2")
    data[6] |= 1
    data[central + 8] |= 1
    (one,) = documents("a.zip", bytes(data))
    assert (one.text, one.problems) == ("good", ("secret.txt: is encrypted with a password",))


def test_a_walk_takes_archives_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    (tmp_path / "b.txt").write_text("words")

    def taken(*paths: Path, **options: object) -> list[str]:
        walk = discover(paths or [tmp_path], tmp_path, options=WalkOptions(**options))  # type: ignore[arg-type]
        ids = [file.id for file in walk]
        assert walk.skipped == ({} if "a.zip" in ids else {Reason.ARCHIVE: 1})
        return ids

    assert taken() == ["b.txt"]
    assert taken(archives=True) == taken(include=["*.zip"]) == ["a.zip", "b.txt"]
    assert taken(tmp_path / "a.zip") == ["a.zip"]


@pytest.mark.slow
def test_a_file_that_ends_its_parser_does_not_cost_the_text_files(tmp_path: Path) -> None:
    from .pdf.test_hostile import NESTED

    data = zipped({"a.md": b"words", "bad.pdf": NESTED, "in.zip": zipped({"b.md": b"more"})})
    (tmp_path / "a.zip").write_bytes(data)
    result = read(SourceFile(tmp_path / "a.zip", "a.zip", len(data), 0))
    assert [one.text for one in result.documents] == ["words", "more"]
    ended, passed_over = sorted(result.problems)
    assert ended.startswith("a.zip: its parser ") and "read without some of the files" in ended
    assert passed_over == "a.zip: not read, since one of them ended its parser: bad.pdf"


def test_an_archive_is_read_in_a_worker(tmp_path: Path) -> None:
    data = zipped(
        {
            "a.md": b"# T\n\nwords",
            "m.pdf": (Path(__file__).parent / "pdf/files/cairo.pdf").read_bytes(),
        }
    )
    (tmp_path / "a.zip").write_bytes(data)
    result = read(SourceFile(tmp_path / "a.zip", "d/a.zip", len(data), 0))
    text, pdf = result.documents
    assert (text.id, text.title, text.metadata["format"]) == ("d/a.zip!/a.md", "T", "markdown")
    assert text.metadata["path"] == pdf.metadata["path"] == "d/a.zip"
    assert (pdf.title, pdf.metadata["format"]) == ("Notes of the mill", "pdf")


def test_an_archive_that_is_attached_to_a_message_is_named_and_not_read() -> None:
    letter = EmailMessage()
    letter["Subject"] = "Files"
    letter.set_content("Here they are.")
    data = zipped({"a.md": b"unasked"})
    letter.add_attachment(data, maintype="application", subtype="zip", filename="a.zip")
    made = format_of("a.eml").parse(bytes(letter), Source("a.eml"))
    assert not isinstance(made, Parsed)
    (message,) = made
    assert message.metadata["attachments"] == ["a.zip"]
    assert "unasked" not in message.text
    assert "a.zip" in message.problems[0]
