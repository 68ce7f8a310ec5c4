"""Office files in a folder: what they give to search, and what harmful ones cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.documents.office.make_files import FILES, W
from tests.documents.office.packages_for_tests import docx, p, relations, zipped

from .conftest import Retrieval


def with_document(content: bytes) -> bytes:
    return zipped(
        {
            "_rels/.rels": relations({"officeDocument": "word/document.xml"}),
            "word/document.xml": content,
        }
    )


def test_office_files_are_found_with_their_places(
    retrieval_command: Retrieval, folder: Path
) -> None:
    for name in ("deck-python-pptx.pptx", "stores-openpyxl.xlsx", "guide-pandoc.epub"):
        shutil.copy(FILES / name, folder / "docs")
    assert retrieval_command("index", "docs", "--passage-tokens", 30).code == 0
    found = {}
    for query in ("gannet seats 1994", "quay pallets 1200", "frost is patient"):
        hits = json.loads(
            retrieval_command("search", query, "--retriever", "lexical", "-k", "1", "--json").out
        )
        found[query] = hits[0]
    assert found["gannet seats 1994"]["place"]["page"] == 4
    assert found["quay pallets 1200"]["place"]["part"] == "Stores"
    assert found["frost is patient"]["place"]["part"] == "After the shift"


def test_a_harmful_file_costs_itself_alone(retrieval_command: Retrieval, folder: Path) -> None:
    docs = folder / "docs"
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    deep = b"<w:p>" * 10_000
    harmful = {
        "bomb.docx": with_document(b"<a>" + b" " * (64 << 20)),
        "laughs.docx": with_document(b"<!DOCTYPE d [<!ENTITY l0 'ha'>%s]><d>&l9;</d>" % laughs),
        "deep.docx": with_document(
            b"<w:document xmlns:w='%s'>%s</w:document>" % (W.encode(), deep + b"</w:p>" * 10_000)
        ),
        "cut.xls": (FILES / "plain-xlwt.xls").read_bytes()[:3000],
    }
    for name, data in harmful.items():
        (docs / name).write_bytes(data)
    (docs / "good.docx").write_bytes(docx(p("The harbour is closed.")))
    (docs / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500)
    done = retrieval_command("index", "docs")
    assert done.code == 0
    assert done.out.startswith(".retrieval: 3 added; ")
    assert "  1 binary: 1 .doc, such as docs/old.doc\n" in done.err
    assert "soffice --headless --convert-to docx FILE" in done.err
    for name, said in {
        "bomb.docx": "word/document.xml unpacks to more than 250 times its packed size",
        "laughs.docx": "word/document.xml declares entities of its own",
        "deep.docx": "word/document.xml is nested more than 200 deep",
        "cut.xls": "cannot be read as an Excel workbook",
    }.items():
        assert sum(f"docs/{name}: " in line and said in line for line in done.err.split("\n")) == 1
