"""What `retrieval index` says of files that it does not read."""

from __future__ import annotations

import json
from pathlib import Path

from retrieval.documents.formats.languages import BINARY_EXTENSIONS
from retrieval.documents.walk import advice, advices

from .conftest import Retrieval


def plant(folder: Path) -> None:
    docs = folder / "docs"
    for n in range(12):
        (docs / f"{n}.png").write_bytes(b"\x89PNG\0\0")
    for n in range(9):
        (docs / f"{n}.mp4").write_bytes(b"\0\0\0\x18ftyp")
    (docs / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0\0\0")
    (docs / "old.wps").write_bytes(b"\xd0\xcf\x11\xe0\0\0")
    (docs / "data.bin").write_bytes(bytes(range(256)))
    (docs / ".hidden").write_text("x")
    (docs / "node_modules").mkdir()
    (docs / "node_modules" / "package.json").write_text("{}")


def test_what_is_not_read_is_listed_by_type_with_what_helps(
    retrieval_command: Retrieval, folder: Path
) -> None:
    plant(folder)
    done = retrieval_command("index", "docs")
    assert done.code == 0
    assert (
        "  24 binary: 12 .png, 9 .mp4, 1 .bin, 1 .doc, 1 .wps, such as docs/0.png\n"
        "  1 dependencies: 1 node_modules/, such as docs/node_modules\n"
        "  1 hidden: 1 .hidden, such as docs/.hidden\n"
        "  .doc, .wps: convert them, as by LibreOffice: soffice --headless --convert-to docx FILE\n"
        "  .png: pictures hold no text; where they show some, recognise it, as by Tesseract: "
        "tesseract FILE FILE\n"
        "  .mp4: put what is said in them beside them, as .vtt, .srt or .txt\n"
    ) in done.err
    dry = retrieval_command("index", "docs", "--dry-run")
    assert dry.out.count("(binary)") == 24 and "left out  docs/old.doc  (binary)\n" in dry.out
    assert ".doc, .wps: convert them" in dry.err


def test_json_lists_each_file_with_its_reason(retrieval_command: Retrieval, folder: Path) -> None:
    plant(folder)
    facts = json.loads(retrieval_command("index", "docs", "--json").out)
    assert facts["left_out"]["binary"][".png"]["count"] == 12
    listed = {one["id"]: one for one in facts["left_out_files"]}
    assert len(listed) == 26 == sum(facts["skipped"].values())
    assert listed["docs/data.bin"] == {
        "id": "docs/data.bin",
        "reason": "binary",
        "is_folder": False,
    }
    assert listed["docs/old.doc"]["advice"].startswith("convert them, as by LibreOffice")
    assert listed["docs/node_modules"]["reason"] == "dependencies"
    dry = json.loads(retrieval_command("index", "docs", "--dry-run", "--json").out)
    assert {one["id"]: one for one in dry["left_out"]} == listed


def test_advice_is_given_for_types_that_nothing_reads() -> None:
    assert advice(".md") == advice(".pdf") == advice(".docx") == ""
    assert [of for of, _ in advices([".avi", ".mp3", ".md"])] == [[".avi", ".mp3"]]
    for type, command in ((".7z", "7zz x FILE"), (".rar", "unar FILE"), (".zst", "zstd -d FILE")):
        assert advice(type).endswith(command) and "apt install" in advice(type)
    pictures = {".png", ".jpg", ".gif"}
    assert all(advice(type) for type in BINARY_EXTENSIONS & pictures)


def test_how_to_take_in_what_is_excluded_is_said(
    retrieval_command: Retrieval, folder: Path
) -> None:
    dry = retrieval_command("index", "docs", "--exclude", "l*.md", "--dry-run")
    assert "  excluded: --exclude with other globs, or '' for none\n" in dry.err
