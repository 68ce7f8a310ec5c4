"""Cells of a binary workbook (XLSB) that leave out their column, which the library passes over.

A part is records, each with its type, its size and its data ([MS-XLSB] 2.1.4). A cell's begin with
its column and its style; the short forms of the types 1 to 7, which are 12 to 18, have no column:
it is the one right of the cell before. Excel does not write them, SheetJS does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from retrieval.documents.formats.office.package import Package, repacked

_ROW = 0
_CELLS = range(1, 12)
_SHORT = range(12, 19)
_TO_FULL = 11
_READ = (".bin", ".rels", "[content_types].xml")
_LOOKED_AT = 1000
"""Cells of a sheet that are looked at: a program that writes short ones does from the second on."""


def with_columns(data: bytes, package: Package) -> bytes:
    """The workbook with the column in every cell: `data` itself where none lacks it."""
    sheets = [
        name
        for name in package
        if name.lower().startswith("xl/worksheets/") and name.lower().endswith(".bin")
    ]
    changed = {}
    for name in sheets:
        if has_short_cells(next(package.chunks(name), b"")):
            changed[name] = lengthened(package.read(name))
    return repacked(package, changed, _READ) if changed else data


def has_short_cells(part: bytes) -> bool:
    """Whether there are such among a sheet's first cells."""
    seen = 0
    for kind, _, _, _ in records(part):
        if kind in _SHORT:
            return True
        seen += kind in _CELLS
        if seen > _LOOKED_AT:
            break
    return False


def lengthened(part: bytes) -> bytes:
    """A sheet with the column in every cell; what follows a broken record stays as it is."""
    made = bytearray()
    column, done = -1, 0
    for kind, start, data, end in records(part):
        done = end
        if kind in _SHORT:
            column += 1
            body = struct.pack("<I", column) + part[data:end]
            made += bytes([kind - _TO_FULL]) + _size(len(body)) + body
            continue
        if kind == _ROW:
            column = -1
        elif kind in _CELLS and end - data >= 4:
            (column,) = struct.unpack_from("<I", part, data)
        made += part[start:end]
    return bytes(made + part[done:])


def records(part: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Of each record its type, and where it, its data and the next one begin."""
    at, length = 0, len(part)
    while at < length:
        start = at
        kind = part[at]
        at += 1
        if kind & 0x80:
            if at >= length:
                return
            kind = (kind & 0x7F) | (part[at] & 0x7F) << 7
            at += 1
        size = shift = 0
        while at < length and shift < 28:
            byte = part[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        else:
            return
        if at + size > length:
            return
        yield kind, start, at, at + size
        at += size


def _size(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
