"""PDF files that are broken or made to do harm: each costs itself, in one line and bounded time."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from retrieval.documents import SourceFile, read, workers
from retrieval.documents.formats import Source, formats
from retrieval.documents.formats.format import Parsed
from retrieval.documents.formats.pdf import _parse
from retrieval.errors import DocumentError

from ..outlines_for_tests import check, parsed
from .building import CATALOG, PAGE, PAGES, font, page_of, pages, pdf, stream

FILES = Path(__file__).parent / "files"
TEX = (FILES / "tex.pdf").read_bytes()
ONE = pages(page_of(("F", 10, 500, "The words of a page.")))


def refused(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        workers.parse(_parse, data, Source("a.pdf"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no PDF at all", "is not a PDF file (it does not begin with %PDF-)"),
        (b"%PDF-1.7\n", "is a PDF file that is damaged: it cannot be opened"),
        (TEX[:1000], "is a PDF file that is damaged: it cannot be opened"),
        (pages(b""), "holds no text"),
    ],
)
def test_a_file_that_gives_nothing_says_so(data: bytes, said: str) -> None:
    assert refused(data) == said


def test_a_file_of_ascii_alone_is_read_and_so_is_one_without_a_suffix(tmp_path: Path) -> None:
    assert b"\0" not in ONE
    for name in ("a.pdf", "A.PDF", "report", "report.txt"):
        data = ONE if name != "report.txt" else ONE + b"\0"
        path = tmp_path / name
        path.write_bytes(data)
        (document,) = read(SourceFile(path, name, len(data), 0)).documents
        assert document.text == "The words of a page."


def test_a_file_whose_table_of_objects_is_gone_is_read() -> None:
    start = ONE.index(b"xref")
    without_table = ONE[:start] + ONE[ONE.index(b"trailer") :]
    assert parsed("a.pdf", without_table).text == "The words of a page."


def test_a_page_that_is_not_there_does_not_cost_the_others() -> None:
    broken = ONE.replace(b"/Kids[9 0 R]/Count 1", b"/Kids[9 0 R 77 0 R 9 0 R]/Count 3")
    made = parsed("a.pdf", broken)
    assert made.text.startswith("The words of a page.")
    assert made.problems == ("1 of 3 pages are damaged and were not read",)


def one_page(content: bytes, **objects: bytes) -> bytes:
    named = {int(name[1:]): value for name, value in objects.items()}
    return pdf({1: CATALOG, 2: PAGES, 3: PAGE, 4: content, 5: font("Helvetica"), **named})


def bomb() -> bytes:
    """A page of a gigabyte, in a megabyte: its blanks are packed once, and that is repeated."""
    before, blanks, after, times = b"BT /F 9 Tf (", b" " * (1 << 24), b") Tj ET", 64
    packer = zlib.compressobj(9)
    packed = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    packed += (packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)) * times
    checksum = zlib.adler32(before)
    for _ in range(times):
        checksum = zlib.adler32(blanks, checksum)
    packed += (packer.compress(after) + packer.flush())[:-4]
    packed += zlib.adler32(after, checksum).to_bytes(4, "big")
    return one_page(stream(packed, said=b"/Filter/FlateDecode"))


NESTED = pdf({
    1: CATALOG, 2: PAGES, 3: PAGE, 5: font("Helvetica"), 4: stream(b"/X Do " * 10),
    **{
        8 + depth: stream(
            b"/X Do " * 10, said=b"/Type/XObject/Subtype/Form/BBox[0 0 400 600]/Resources<</XObject"
            b"<</X %d 0 R>>/Font<</F 5 0 R>>>>" % (9 + depth)
        )
        for depth in range(12)
    },
    20: stream(b"BT /F 9 Tf (x) Tj ET", said=b"/Type/XObject/Subtype/Form/BBox[0 0 400 600]"
               b"/Resources<</Font<</F 5 0 R>>>>"),
})  # fmt: skip
"""Forms in forms: ten to the twelfth letters."""

LOOP = pdf({1: CATALOG, 2: b"<</Type/Pages/Kids[2 0 R]/Count 1>>"})
MANY = pdf({1: CATALOG, 2: b"<</Type/Pages/Kids[3 0 R]/Count 2000000000>>", 3: PAGE})
DEEP = pdf({1: CATALOG, 2: PAGES, 3: PAGE + b"[" * 200_000})


HARM = {"bomb": bomb, "nested": NESTED, "loop": LOOP, "many": MANY, "deep": DEEP}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARM)
def test_a_file_made_to_do_harm_costs_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.limits, "SECONDS", 3)
    started = "from retrieval.documents.workers import limits; limits.SECONDS = 3; main()"
    monkeypatch.setattr(workers.pool, "_START", workers.pool._START.replace("main()", started))
    workers.stop()
    harm = HARM[name]
    data = harm if isinstance(harm, bytes) else harm()
    try:
        made = workers.parse(_parse, data, Source("a.pdf"))
    except DocumentError as error:
        assert "\n" not in str(error)
    else:
        assert len(made[0].text) < 1_000_000
    workers.stop()
    (good,) = workers.parse(_parse, ONE, Source("b.pdf"))
    assert good.text == "The words of a page."


def test_scripts_and_attachments_are_left_alone() -> None:
    page = page_of(("F", 10, 500, "Words."))
    catalog = (
        b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>/AA<</WC<</S/Launch/F(run)>>>>"
        b"/Names<</EmbeddedFiles<</Names[(a)<</Type/Filespec/F(attached.txt)>>]>>>>"
    )
    made = parsed("a.pdf", pages(page, catalog=catalog))
    assert made.text == "Words."


def test_damaged_copies_cost_themselves() -> None:
    """In workers, as files are read; nothing of one file comes out of another."""
    chance = random.Random(3)
    samples = [path.read_bytes() for path in sorted(FILES.glob("*.pdf"))]
    assert formats()["pdf"].isolated
    read_well = 0
    for number in range(200):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.randint(1, 20)):
            at = chance.randrange(len(data))
            to = at + chance.choice((1, 1, 1, 4, 64, 2000))
            match chance.randrange(4):
                case 0:
                    del data[at:to]
                case 1:
                    data[at:to] = chance.randbytes(len(data[at:to]))
                case 2:
                    data[at:at] = data[at:to]
                case _:
                    data[at] ^= 1 << chance.randrange(8)
        try:
            (made,) = workers.parse(_parse, bytes(data), Source(f"{number}.pdf"))
        except DocumentError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(made, Parsed)
            check(made.text, made.outline)
            read_well += 1
    assert read_well > 20
