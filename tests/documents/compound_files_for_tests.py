"""Compound files (MS-CFB), written: what Outlook keeps a message in."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

SECTOR, MINI, SMALL = 512, 64, 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
Tree = dict[str, "bytes | Tree"]


@dataclass
class _Writer:
    sectors: list[bytes] = field(default_factory=list)
    chain: list[int] = field(default_factory=list)
    entries: list[list[Any]] = field(default_factory=list)
    small: bytearray = field(default_factory=bytearray)
    small_chain: list[int] = field(default_factory=list)

    def put(self, content: bytes) -> int:
        """Write a stream; its first sector."""
        if not content:
            return END
        first = len(self.sectors)
        count = -(-len(content) // SECTOR)
        for n in range(count):
            self.sectors.append(content[n * SECTOR : (n + 1) * SECTOR].ljust(SECTOR, b"\0"))
            self.chain.append(first + n + 1 if n + 1 < count else END)
        return first

    def stream(self, content: bytes) -> int:
        """Write a stream where those of its size stand; its first sector."""
        if len(content) >= SMALL or not content:
            return self.put(content)
        first = len(self.small_chain)
        count = -(-len(content) // MINI)
        self.small += content.ljust(count * MINI, b"\0")
        self.small_chain += [*range(first + 1, first + count), END]
        return first

    def add(self, tree: Tree) -> int:
        """Write a folder's entries, each the right neighbour of the one before; the first."""
        numbers = []
        for name in sorted(tree, key=lambda one: (len(one), one.upper())):
            content = tree[name]
            number = len(self.entries)
            numbers.append(number)
            if isinstance(content, bytes):
                self.entries.append([name, 2, FREE, FREE, self.stream(content), len(content)])
            else:
                self.entries.append([name, 1, FREE, FREE, 0, 0])
                self.entries[number][3] = self.add(content)
        for before, after in pairwise(numbers):
            self.entries[before][2] = after
        return numbers[0] if numbers else FREE


def compound(tree: Tree) -> bytes:
    """A compound file of these folders (dicts) and streams (bytes)."""
    writer = _Writer()
    writer.entries.append(["Root Entry", 5, FREE, FREE, END, 0])
    writer.entries[0][3] = writer.add(tree)
    writer.entries[0][4:] = [writer.put(bytes(writer.small)), len(writer.small)]
    small_table = struct.pack(f"<{len(writer.small_chain)}I", *writer.small_chain)
    small_count = -(-len(small_table) // SECTOR)
    small_first = writer.put(small_table.ljust(small_count * SECTOR, b"\xff"))
    directory = b""
    for name, kind, right, child, start, size in writer.entries:
        spelt = f"{name}\0".encode("utf-16-le")
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ",
            *(spelt, len(spelt), kind, 1, FREE, right, child, b"", 0, 0, 0, start, size),
        )
    while len(directory) % SECTOR:
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ", b"", 0, 0, 0, FREE, FREE, FREE, b"", 0, 0, 0, 0, 0
        )
    first = writer.put(directory)
    count = 1
    while count * (SECTOR // 4) < len(writer.chain) + count:
        count += 1
    table = [*writer.chain, *[FAT] * count]
    table += [FREE] * (count * (SECTOR // 4) - len(table))
    at = len(writer.sectors)
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, count, first, 0),
        *(SMALL, small_first, small_count, END, 0),
    )
    places = [*range(at, at + count), *[FREE] * (109 - count)]
    packed = struct.pack(f"<{len(table)}I", *table)
    return header + struct.pack("<109I", *places) + b"".join(writer.sectors) + packed


def text(property: int, value: str) -> Tree:
    """A property that is text."""
    return {f"__substg1.0_{property:04X}001F": value.encode("utf-16-le")}


def binary(property: int, value: bytes) -> Tree:
    """A property that is bytes."""
    return {f"__substg1.0_{property:04X}0102": value}


def numbers(before: int, **values: int | datetime) -> Tree:
    """Properties that are numbers or times, such as `x0C15=1`."""
    packed = bytes(before)
    for name, value in values.items():
        property = int(name[1:], 16)
        if isinstance(value, datetime):
            ticks = int((value - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds() * 10**7)
            packed += struct.pack("<HHIQ", 0x40, property, 6, ticks)
        else:
            packed += struct.pack("<HHIIi", 0x03, property, 6, value, 0)
    return {"__properties_version1.0": packed}
