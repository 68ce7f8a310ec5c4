"""What to do with files that no format reads, so that what they hold is found all the same."""

from __future__ import annotations

from collections.abc import Collection

_LIBREOFFICE = "convert them, as by LibreOffice: soffice --headless --convert-to {} FILE"

_ADVICE: tuple[tuple[str, str], ...] = (
    (".doc .dot .wpd .wps", _LIBREOFFICE.format("docx")),
    (".ppt .pps", _LIBREOFFICE.format("pptx")),
    (".djvu .xps", "convert them to PDF"),
    (".azw .azw3 .chm .lit .mobi", "convert them, as by Calibre: ebook-convert FILE FILE.epub"),
    (".ost .pst", "save their messages as .eml or .mbox"),
    (
        ".bmp .gif .heic .jpeg .jpg .png .tif .tiff .webp",
        "pictures hold no text; where they show some, recognise it, as by Tesseract: "
        "tesseract FILE FILE",
    ),
    (
        ".avi .flac .m4a .m4v .mkv .mov .mp3 .mp4 .mpeg .mpg .ogg .opus .wav .webm .wmv",
        "put what is said in them beside them, as .vtt, .srt or .txt",
    ),
    (".7z", "unpack them, as by 7-Zip (apt install 7zip, brew install sevenzip): 7zz x FILE"),
    (".rar", "unpack them, as by unar (apt install unar, brew install unar): unar FILE"),
    (".zst", "unpack them, as by Zstandard (apt install zstd, brew install zstd): zstd -d FILE"),
    (
        ".accdb .arrow .db .feather .mdb .parquet .sqlite .sqlite3",
        "export what is to be found as .csv or .jsonl",
    ),
)
_OF_TYPE = {type: text for types, text in _ADVICE for type in types.split()}


def advice(type: str) -> str:
    """What to do with files of a type that are not read (`.doc`), or "" if there is nothing."""
    return _OF_TYPE.get(type, "")


def advices(types: Collection[str]) -> list[tuple[list[str], str]]:
    """What to do with files of these types: types that it is the same for, and that."""
    found: dict[str, list[str]] = {}
    for type, text in _OF_TYPE.items():
        if type in types:
            found.setdefault(text, []).append(type)
    return [(of, text) for text, of in found.items()]
