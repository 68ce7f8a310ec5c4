"""Comments in Excel's binary workbooks: XLSB ([MS-XLSB]) and XLS ([MS-XLS]).

In XLSB they are a part of records beside the sheet's. In XLS a NOTE record of the sheet names the
cell, the author and an object; the words are in a TXO record behind that object's OBJ.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from retrieval.documents.formats.office.package import Package
from retrieval.documents.formats.office.remarks import (
    Remark,
    cell_name,
    comment,
    of_sheet,
    people,
    sorted_by_row,
)
from retrieval.documents.formats.office.short_cells import records

_SHEET, _AUTHOR, _COMMENT, _COMMENT_TEXT = 156, 632, 635, 637
"""Records of XLSB."""
_BOF, _EOF, _BOUND_SHEET, _NOTE, _OBJECT, _TEXT, _CONTINUE = (
    0x809, 0x0A, 0x85, 0x1C, 0x5D, 0x1B6, 0x3C,
)  # fmt: skip
"""Records of XLS."""
_PASSWORD = 0x2F
_STREAM = "Workbook"
_BIFF8 = 0x0600
_WIDE = 1

_Records = list[tuple[int, bytes]]


def in_xlsb(package: Package) -> dict[str, list[Remark]]:
    """The remarks of an XLSB file, by the name of their sheet, in the order of its rows."""
    main = package.main_part
    relations = package.relations(main)
    authors = people(package, relations)
    found: dict[str, list[Remark]] = {}
    part = package.read(main)
    for kind, _, data, end in records(part):
        if kind != _SHEET:
            continue
        key, after = _wide(part, data + 8, end)
        name, _ = _wide(part, after, end)
        if relation := relations.get(key):
            remarks = [*of_sheet(package, relation.target, authors)]
            threaded = any(
                other.kind == "threadedComment"
                for other in package.relations(relation.target).values()
            )
            for other in package.relations(relation.target).values():
                if other.kind == "comments" and other.target.endswith(".bin"):
                    remarks += _of_part(package.read(other.target), threaded=threaded)
            found[name] = sorted_by_row(remarks)
    return found


def _of_part(part: bytes, *, threaded: bool) -> Iterator[Remark]:
    authors: list[str] = []
    cell, author = "", ""
    for kind, _, data, end in records(part):
        if kind == _AUTHOR:
            authors.append(_wide(part, data, end)[0])
        elif kind == _COMMENT and end - data >= 20:
            number, row, _, column = struct.unpack_from("<IIII", part, data)
            author = authors[number] if number < len(authors) else ""
            cell = cell_name(row, column)
        elif kind == _COMMENT_TEXT and cell:
            made = comment(cell, author, _wide(part, data + 1, end)[0], threaded=threaded)
            if made is not None:
                yield made


def _wide(part: bytes, at: int, end: int) -> tuple[str, int]:
    """A string of XLSB, and the place after it."""
    if at + 4 > end:
        return "", end
    (length,) = struct.unpack_from("<I", part, at)
    if length == 0xFFFFFFFF:  # there is none
        return "", at + 4
    after = min(at + 4 + 2 * length, end)
    return part[at + 4 : after].decode("utf-16-le", "replace"), after


def in_xls(data: bytes) -> dict[str, list[Remark]]:
    """The comments of an XLS file of Excel 97 or later, by sheet, in the order of its rows."""
    stream = _workbook(data)
    if len(stream) < 6 or struct.unpack_from("<H", stream, 4)[0] != _BIFF8:
        return {}
    sheets = {
        _short(record[6:]): struct.unpack_from("<I", record)[0]
        for kind, record in _substream(stream, 0)
        if kind == _BOUND_SHEET and len(record) >= 8
    }
    return {
        name: sorted_by_row(_of_substream([*_substream(stream, at)])) for name, at in sheets.items()
    }


def is_encrypted_xls(data: bytes) -> bool:
    """Whether an XLS file has a password."""
    try:
        return any(kind == _PASSWORD for kind, _ in _substream(_workbook(data), 0))
    except Exception:  # whatever a damaged compound file raises
        return False


def _workbook(data: bytes) -> bytes:
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as file:
        content: bytes = file.openstream(_STREAM).read() if file.exists(_STREAM) else b""
    return content


def _substream(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The records from a place to the end of what begins there, charts in it included."""
    depth = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        at += 4
        yield kind, stream[at : at + size]
        at += size
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return


def _of_substream(found: _Records) -> Iterator[Remark]:
    texts: dict[int, str] = {}
    last = -1
    for at, (kind, record) in enumerate(found):
        if kind == _OBJECT and len(record) >= 8:
            (last,) = struct.unpack_from("<H", record, 6)
        elif kind == _TEXT and last >= 0 and len(record) >= 14:
            texts[last] = _text(struct.unpack_from("<H", record, 10)[0], found, at + 1)
            last = -1
    for kind, record in found:
        if kind == _NOTE and len(record) >= 11:
            row, column, _, number = struct.unpack_from("<HHHH", record)
            author = _string(record[8:])
            made = comment(cell_name(row, column), author, texts.pop(number, ""))
            if made is not None:
                yield made
    for said in texts.values():  # text boxes
        if said.strip():
            yield Remark(0, said)


def _text(length: int, found: _Records, at: int) -> str:
    """So many characters of the records that continue one; each says how it holds them."""
    said = ""
    while len(said) < length and at < len(found) and found[at][0] == _CONTINUE:
        said += _characters(found[at][1])
        at += 1
    return said[:length]


def _characters(piece: bytes) -> str:
    """Characters behind the byte that says whether each has two."""
    if not piece:
        return ""
    return piece[1:].decode("utf-16-le" if piece[0] & _WIDE else "latin-1", "replace")


def _string(data: bytes) -> str:
    """A string with its length in two bytes."""
    if len(data) < 3:
        return ""
    (length,) = struct.unpack_from("<H", data)
    return _characters(data[2 : 3 + length * (1 + (data[2] & _WIDE))])


def _short(data: bytes) -> str:
    """A string with its length in a byte."""
    return _characters(data[1 : 2 + data[0] * (1 + (data[1] & _WIDE))])
