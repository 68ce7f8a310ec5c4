"""How documents are shown: as trees, colours and pictures; whatever they hold."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index
from retrieval.documents import workers
from retrieval.documents.formats.pdf import picture as pictures
from retrieval.documents.formats.pdf.picture import picture
from retrieval.errors import DocumentError
from retrieval.service.updating import update
from retrieval.service.viewing import documents as viewing
from retrieval.service.viewing import page_picture, view
from retrieval.service.viewing.colours import KINDS, colours
from retrieval.service.viewing.markdown import SCHEMES, TAGS, Node, nodes
from tests.index.fake_encoder import FakeEncoder

PDF = Path(__file__).parents[1] / "documents" / "pdf" / "files" / "libreoffice.pdf"


def tree(text: str) -> list[Node]:
    return nodes(text.encode())


def walked(found: list[Node]) -> Iterator[tuple[str, dict[str, Any], list[Node]]]:
    for node in found:
        if isinstance(node, list):
            tag, attributes, children = node
            yield tag, attributes, children
            yield from walked(children)


def text_of(found: list[Node]) -> str:
    return "".join(node if isinstance(node, str) else text_of(node[2]) for node in found)


def test_markdown_is_a_tree_that_knows_its_lines() -> None:
    found = tree("# One *two*\n\n- a\n- b `c`\n\n| x | y |\n|---|---|\n| 1 | ~~2~~ |\n\nd  \ne\n")
    assert found[0] == ["h1", {"lines": [1, 1]}, ["One ", ["em", {}, ["two"]]]]
    assert found[1][1] == {"lines": [3, 5]}
    assert found[1][2][1] == ["li", {"lines": [4, 5]}, ["b ", ["code", {}, ["c"]]]]
    rows = [attributes["lines"] for tag, attributes, _ in walked(found) if tag == "tr"]
    assert rows == [[6, 6], [8, 8]]
    assert ["s", {}, ["2"]] in [[tag, *rest] for tag, *rest in walked(found)]
    assert found[3] == ["p", {"lines": [10, 11]}, ["d", ["br", {}, []], "e"]]


def test_code_in_markdown_has_lines_and_colours() -> None:
    found = tree('text\n\n```python\ndef f():\n    """a\n    b"""\n\n```\n\n    indented\n')
    ((_, _, lines),) = found[1][2]
    assert [line[1]["lines"] for line in lines] == [[n, n] for n in (4, 5, 6, 7)]
    assert lines[0][2][0] == ["span", {"kind": "keyword"}, ["def"]]
    assert [text_of([line]) for line in lines] == ["def f():", '    """a', '    b"""', ""]
    assert found[2][2][0][2][0] == ["span", {"lines": [10, 10]}, ["indented"]]
    assert text_of(tree("```no-such-language\n<b>\n```")) == "<b>"


def test_front_matter_is_shown_as_it_stands() -> None:
    found = tree("---\ntitle: A\nkind: b\n---\n# A\n")
    assert found[0] == ["pre", {"lines": [1, 4]}, ["---\ntitle: A\nkind: b\n---"]]
    assert found[1] == ["h1", {"lines": [5, 5]}, ["A"]]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](//evil/)",
        "[a](&#106;avascript:alert(1)) <javascript:alert(1)>",
        "![a](http://evil/x.png)",
        "<div style='x'>\n\n<svg onload=alert(1)>\n\n</div>",
        "[a]: javascript:alert(1)\n\n[a] [b][a]",
        "| <td onclick=x> |\n|--|\n| <!-- --> |",
        "```<script>\nx\n```",
        "> " * 500 + "deep",
        "*" * 5000,
        "[" * 5000,
        "\ud800 \0 \u202e",
    ],
)
def test_a_hostile_text_gives_no_other_elements(text: str) -> None:
    found = nodes(text.encode("utf-8", "surrogatepass"))
    for tag, attributes, _ in walked(found):
        assert tag in TAGS
        assert set(attributes) <= {"lines", "href", "kind"}
        assert attributes.get("href", "http:").partition(":")[0].lower() in SCHEMES
    for word in ("<script>", "onerror=alert(1)", "<svg onload"):
        assert (word in text_of(found)) == (word in text and "```" not in text)


def test_code_has_colours() -> None:
    text = 'def f(x: int):\n    return "ä" + 1  # why\n'
    found = colours(text.encode(), "python", "a.py")
    by_kind = {kind: text[start:end] for start, end, kind in found}
    assert by_kind == {
        "keyword": "return",
        "name": "f",
        "type": "int",
        "string": '"ä"',
        "number": "1",
        "comment": "# why",
    }
    assert set(by_kind) <= set(KINDS)
    assert colours(b"a: 1 # b", "", "x/y.yaml")
    assert colours(b"plain words", "", "README") == []
    assert colours(b"x", "no-such-language", "a.unknown") == []


def test_a_page_is_a_picture() -> None:
    import base64

    made = picture(PDF.read_bytes(), 1, 300)
    png = base64.b64decode(made["png"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (width, height) == (made["width"], made["height"])
    assert abs(width - 300) <= 1
    assert (depth, colour, made["pages"]) == (8, 2, 1)
    data = png[png.index(b"IDAT") + 4 : png.rindex(b"IEND") - 8]
    pixels = zlib.decompress(data)
    assert len(pixels) == height * (1 + 3 * width)
    assert 0.5 < pixels.count(0xFF) / len(pixels) < 1  # black on white
    for page in (0, 2):
        with pytest.raises(DocumentError, match=f"no page {page}"):
            picture(PDF.read_bytes(), page, 300)
    with pytest.raises(DocumentError, match="is not a PDF file"):
        picture(b"%PNG", 1, 300)


def test_a_page_has_at_most_so_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 10_000)
    made = picture(PDF.read_bytes(), 1, 3000)
    assert made["width"] * made["height"] < 11_000


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copy(PDF, folder / "a.pdf")
    (folder / "a.md").write_text("# A\n")
    (folder / "a.py").write_text("def a(): pass\n")
    (folder / "a.txt").write_text("plain\n")
    (folder / "a.html").write_text("<p>words</p>\n")
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        update(index, [folder])
        yield index
    workers.stop()


def document(index: Index, id: str) -> Document:
    found = index.get(id)
    assert found is not None
    return found


def test_each_document_has_its_view(index: Index) -> None:
    kinds = {one.id: view(index, one).kind for one in index.documents()}
    assert kinds == {
        "files/a.pdf": "pages",
        "files/a.md": "markdown",
        "files/a.py": "code",
        "files/a.txt": "text",
        "files/a.html": "text",
    }
    index.add([Document("note.md", "# N"), Document("x", "def a(): pass")])
    assert view(index, document(index, "note.md")).nodes == [["h1", {"lines": [1, 1]}, ["N"]]]
    assert view(index, document(index, "x")).kind == "text"


def test_what_cannot_be_looked_at_is_shown_as_text(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "MOST_CHARACTERS", 3)
    assert "too long" in view(index, document(index, "files/a.md")).note

    def ended(*given: Any, **named: Any) -> Any:
        raise workers.ParserEndedError("its parser ran longer than 5 s")

    monkeypatch.setattr(workers, "value", ended)
    monkeypatch.setattr(viewing, "MOST_CHARACTERS", 300)
    found = view(index, document(index, "files/a.md"))
    assert (found.kind, found.note) == ("text", "its parser ran longer than 5 s")


@pytest.mark.parametrize(
    "sent",
    [
        "<script>",
        [["script", {}, []]],
        [["p", {"onclick": "x"}, []]],
        [["a", {"href": "javascript:x"}, []]],
        [["p", {"lines": ["1", 2]}, []]],
        [["span", {"kind": "x"}, []]],
        [["p", {}, [["p", {}, 1]]]],
        [["p", {}]],
        [[0, 1, "script"]],
        [[2, 1, "string"]],
        [[0, 1]],
        {"a": 1},
    ],
)
def test_what_a_worker_sends_is_checked(
    index: Index, monkeypatch: pytest.MonkeyPatch, sent: Any
) -> None:
    monkeypatch.setattr(workers, "value", lambda *given, **named: sent)
    for id in ("files/a.md", "files/a.py"):
        found = view(index, document(index, id))
        assert (found.kind, found.nodes, found.colours) == ("text", [], [])
        assert "is not valid" in found.note
    pdf = document(index, "files/a.pdf")
    for made in (sent, {"png": "PHN2Zz4="}, {"png": "="}, {"png": 1}, {}):
        monkeypatch.setattr(workers, "value", lambda *given, made=made, **named: made)
        with pytest.raises(DocumentError, match="is not valid"):
            page_picture(index, pdf, 1, 100)


def test_only_what_was_indexed_is_a_picture(index: Index, tmp_path: Path) -> None:
    pdf = document(index, "files/a.pdf")
    assert page_picture(index, pdf, 1, 100).startswith(b"\x89PNG")
    with pytest.raises(DocumentError, match="no page 7"):
        page_picture(index, pdf, 7, 100)
    with pytest.raises(DocumentError, match="did not come from a PDF file"):
        page_picture(index, document(index, "files/a.md"), 1, 100)
    # A document that only says that it is of a file leads to none.
    secret = tmp_path / "secret.pdf"
    shutil.copy(PDF, secret)
    index.add([Document("s", "x", metadata={"format": "pdf", "path": "secret.pdf", "pages": 1})])
    with pytest.raises(DocumentError, match="did not come from a PDF file"):
        page_picture(index, document(index, "s"), 1, 100)
    file = tmp_path / "files" / "a.pdf"
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(DocumentError, match="has changed since it was indexed"):
        page_picture(index, pdf, 1, 100)
    file.unlink()
    with pytest.raises(DocumentError, match="gone"):
        page_picture(index, pdf, 1, 100)


def hangs(data: bytes) -> None:
    while True:
        pass


def gives(data: bytes, *given: Any) -> Any:
    return [data.decode(), *given]


def test_a_function_is_asked_in_a_worker_within_its_time() -> None:
    assert workers.value(gives, b"x", 1, {"a": None}, seconds=5) == ["x", 1, {"a": None}]
    with pytest.raises(workers.ParserEndedError, match="ran longer than 1 s"):
        workers.value(hangs, b"x", seconds=1)
    assert workers.value(gives, b"y", seconds=5) == ["y"]
    workers.stop()
