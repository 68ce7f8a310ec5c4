"""Cells of binary workbooks that leave out their column."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.formats.office.package import Package
from retrieval.documents.formats.office.short_cells import (
    has_short_cells,
    lengthened,
    with_columns,
)
from retrieval.errors import DocumentError

from ..corpus.truth import FILES

STYLE = bytes(4)


def record(kind: int, data: bytes) -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = b"", len(data)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + size + bytes([length]) + data


def full(kind: int, column: int, value: bytes) -> bytes:
    return record(kind, struct.pack("<I", column) + STYLE + value)


def short(kind: int, value: bytes) -> bytes:
    return record(kind + 11, STYLE + value)


def row(number: int) -> bytes:
    return record(0, struct.pack("<I", number) + bytes(13))


def test_a_short_cell_stands_right_of_the_one_before() -> None:
    given = [row(0), full(6, 2, b"a"), short(2, b"b"), short(5, b"c"), record(0x92, b"")]
    given += [row(1), short(6, b"d" * 300), full(9, 7, b"e"), short(1, b"")]
    wanted = [row(0), full(6, 2, b"a"), full(2, 3, b"b"), full(5, 4, b"c"), record(0x92, b"")]
    wanted += [row(1), full(6, 0, b"d" * 300), full(9, 7, b"e"), full(1, 8, b"")]
    assert has_short_cells(b"".join(given))
    assert lengthened(b"".join(given)) == b"".join(wanted)
    assert not has_short_cells(b"".join(wanted))
    assert lengthened(b"".join(wanted)) == b"".join(wanted)


def test_what_is_broken_stays_as_it_is() -> None:
    whole = row(0) + short(2, b"b")
    for cut in range(len(whole)):
        made = lengthened(whole[:cut])
        assert made == whole[:cut]
    assert lengthened(row(0) + b"\x0d\xff\xff\xff\xff\xff") == row(0) + b"\x0d\xff\xff\xff\xff\xff"


@given(st.binary(max_size=400))
def test_any_bytes_end(part: bytes) -> None:
    has_short_cells(part)
    assert len(lengthened(part)) >= len(part)


def test_other_programs_write_none() -> None:
    for path in FILES.glob("*.xlsb"):
        with zipfile.ZipFile(path) as package:
            sheets = [name for name in package.namelist() if name.startswith("xl/worksheets/sheet")]
            found = any(has_short_cells(package.read(name)) for name in sheets)
        assert found is (path.name == "stores-sheetjs.xlsb")


def _damaged(path: Path, name: str) -> bytes:
    """The workbook with the first byte of a part's packed data changed."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as package:
        at = package.getinfo(name).header_offset
    name_length, extra_length = struct.unpack_from("<HH", data, at + 26)
    data[at + 30 + name_length + extra_length + 20] ^= 0xFF
    return bytes(data)


def test_damage_is_a_document_error_where_cells_are_read_and_else_none() -> None:
    path = FILES / "stores-sheetjs.xlsb"
    unread = _damaged(path, "xl/theme/theme1.xml")
    assert with_columns(unread, Package(unread, "a workbook")) != unread
    read = _damaged(path, "xl/worksheets/sheet1.bin")
    with pytest.raises(DocumentError, match=r"sheet1\.bin cannot be unpacked"):
        with_columns(read, Package(read, "a workbook"))
