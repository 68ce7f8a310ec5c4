"""Files made to do harm: each is refused in one line, or read in bounded time."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

import pytest

from retrieval.documents import workers
from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.office import package
from retrieval.documents.formats.office.xml_parts import parse_xml
from retrieval.errors import DocumentError

from ..outlines_for_tests import check, parsed
from .make_files import FILES, W
from .packages_for_tests import docx, p, relations, zipped

MUTATIONS = 25
MUTATIONS_OF_XLS = 5
"""Every third fills the memory of its worker, and the next waits for a new one."""


def refused(name: str, data: bytes) -> str:
    with pytest.raises(DocumentError) as raised:
        parsed(name, data)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def with_document(content: str | bytes) -> bytes:
    return zipped(
        {
            "_rels/.rels": relations({"officeDocument": "word/document.xml"}),
            "word/document.xml": content,
        }
    )


def test_a_part_that_unpacks_to_more_than_it_may_is_refused() -> None:
    bomb = with_document(b"<a>" + b" " * (package._RATIO_FROM * 2))
    assert "unpacks to more than 250 times its packed size" in refused("a.docx", bomb)


def test_the_limits_count_what_is_unpacked_and_not_what_the_directory_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda self, data: None)
    data = bytearray(docx(p("word " * 100_000)))
    with_limit = package.Package(bytes(data), "a Word document", max_part=100_000)
    with pytest.raises(DocumentError, match=r"word/document\.xml unpacks to more than 0 MiB"):
        with_limit.read("word/document.xml")
    with pytest.raises(DocumentError, match="the whole unpacks to more than 0 MiB"):
        package.Package(bytes(data), "a Word document", max_total=100_000).read("word/document.xml")


def test_entities_are_refused_before_they_are_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE d [<!ENTITY l0 "ha">{laughs}]><d>&l9;</d>'
    assert "declares entities" in refused("a.docx", with_document(bomb))
    for encoding in ("utf-16", "utf-8-sig"):
        assert "declares entities" in refused("a.docx", with_document(bomb.encode(encoding)))
    outside = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>'
    assert "declares entities" in refused("a.docx", with_document(outside))
    parameter = '<!DOCTYPE d [<!ENTITY % x SYSTEM "http://example.org/x.dtd"> %x;]><d/>'
    assert "declares entities" in refused("a.docx", with_document(parameter))


def test_a_document_type_without_entities_is_borne() -> None:
    tree = parse_xml(b'<!DOCTYPE ncx PUBLIC "-//x" "http://example.org/x.dtd"><ncx>a</ncx>', "x")
    assert tree.text == "a"


@pytest.mark.parametrize("depth", [201, 10_000, 100_000])
def test_elements_in_each_other_without_end_are_refused(depth: int) -> None:
    deep = f'<w:document xmlns:w="{W}"><w:body>{"<w:sdt>" * depth}{p("a")}{"</w:sdt>" * depth}'
    bomb = with_document(f"{deep}</w:body></w:document>")
    assert "nested more than 200 deep" in refused("a.docx", bomb)


def test_the_deepest_document_that_is_read() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 60
    document = parsed("a.docx", docx(deep + p("deep down") + "</w:tc></w:tr></w:tbl>" * 60))
    assert document.text == "deep down"


def test_more_members_than_any_document_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_MEMBERS", 3)
    parts = {f"word/{n}.xml": "" for n in range(4)}
    assert "has 4 members" in refused("a.docx", zipped(parts))


def test_names_that_lead_out_of_the_file_lead_nowhere() -> None:
    data = zipped(
        {
            "_rels/.rels": relations({"officeDocument": "../../../../etc/passwd"}),
            "word/document.xml": "<a/>",
        }
    )
    assert "holds no etc/passwd" in refused("a.docx", data)


def test_encrypted_members_are_said_to_be() -> None:
    data = bytearray(docx(p("a")))
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 1)
    assert "is encrypted with a password" in refused("a.docx", bytes(data))


def flipped(data: bytes, choose: random.Random) -> bytes:
    """Some bytes of a file changed, cut, doubled or swapped."""
    made = bytearray(data)
    for _ in range(choose.choice((1, 2, 8))):
        at = choose.randrange(len(made))
        kind = choose.randrange(4)
        if kind == 0:
            made[at] = choose.randrange(256)
        elif kind == 1:
            del made[at : at + choose.choice((1, 20, 2000))]
        elif kind == 2:
            made[at:at] = made[at : at + choose.choice((1, 20, 500))]
        else:
            made[at : at + 4] = choose.randbytes(4)
        if not made:
            return b"PK"
    return bytes(made)


def rewritten(data: bytes, choose: random.Random) -> bytes:
    """A file whose XML was changed and packed anew."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    texts = [name for name in parts if name.endswith((".xml", ".rels", ".xhtml", ".opf", ".ncx"))]
    for _ in range(choose.choice((1, 3))):
        name = choose.choice(texts)
        content = parts[name].decode("utf-8", "replace")
        pieces = [piece for piece in content.replace(">", ">\0").split("\0") if piece]
        if not pieces:
            continue
        at = choose.randrange(len(pieces))
        kind = choose.randrange(4)
        if kind == 0:
            del pieces[at]
        elif kind == 1:
            pieces.insert(at, choose.choice(pieces))
        elif kind == 2:
            pieces[at] = pieces[at].replace('"', choose.choice(('"-1', '"99999999999', '"x')), 1)
        else:
            pieces[at] = pieces[at].translate({ord(c): choose.choice("aZ9:é") for c in "wp0"})
        parts[name] = "".join(pieces).encode()
    if choose.random() < 0.2:
        parts.pop(choose.choice(list(parts)))
    return zipped(parts, level=1)


FILES_TO_CHANGE = [
    (change, path.name)
    for path in sorted(FILES.iterdir())
    for change in (flipped, rewritten)
    if change is flipped or zipfile.is_zipfile(path)
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "name"), FILES_TO_CHANGE)
def test_a_damaged_file_is_read_or_refused(
    change: Callable[[bytes, random.Random], bytes], name: str
) -> None:
    data = (FILES / name).read_bytes()
    choose = random.Random(f"{name} {change.__name__}")
    parse = format_of(name, b"PK\3\4\0\0").parse
    read = 0
    for _ in range(MUTATIONS_OF_XLS if name.endswith(".xls") else MUTATIONS):
        try:
            made = workers.parse(parse, change(data, choose), Source(name))
        except DocumentError as error:
            assert "\n" not in str(error)
            continue
        for one in made:
            check(one.text, one.outline)
            read += 1
    assert read or change is flipped  # of a small zip hardly a byte can be missed
