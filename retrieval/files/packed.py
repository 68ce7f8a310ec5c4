"""Texts as an index stores them: compressed by zlib where that saves something.

SQLite tells the two apart by type: a text stored as it is is TEXT, a compressed one a BLOB. Each is
compressed by itself, so that reading a hit decompresses no other text.

A long text is compressed in blocks, so that reading a hit decompresses little of its own text:
after each block zlib forgets what came before (`Z_FULL_FLUSH`). Where the blocks begin stands after
the end of the stream, where earlier releases do not look:

    starts   u64 for each block, little-endian
    number   u32, of blocks
    mark     8 bytes, `retrblks`
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import numpy as np

BLOCK = 1 << 18
"""Characters of a block, which take less than a millisecond; smaller ones compress less."""

_MOST = 64
"""Highest compression ratio: a text that would compress further is stored as it is, so that reading
somebody else's database takes at most this many times its size in memory."""

_MARK = b"retrblks"
_END = struct.Struct("<I8s")
_HEADER = 2  # bytes of zlib before the first block
_CHARACTER = 4  # bytes of UTF-8 at most


def packed(text: str) -> str | bytes:
    """The text in stored form."""
    plain = text.encode("utf-8")
    compressed = zlib.compress(plain) if len(text) <= BLOCK else _in_blocks(text)
    return compressed if len(compressed) < len(plain) <= _MOST * len(compressed) else text


def unpacked(stored: object) -> str | None:
    """The text that was stored; None if `packed` cannot have made this."""
    if isinstance(stored, str):
        return stored
    if not isinstance(stored, bytes):
        return None
    # Through the table of blocks, where there is one, so that who checks the text checks it too.
    starts = _starts(stored)
    if starts is not None:
        return _all_blocks(stored, starts)
    try:
        reading = zlib.decompressobj()
        plain = reading.decompress(stored, _MOST * len(stored))
        return plain.decode("utf-8") if reading.eof else None
    except (zlib.error, UnicodeDecodeError):
        return None


class StoredText:
    """Reads parts of a stored text; keeps the blocks that it has decompressed."""

    def __init__(self, stored: object) -> None:
        """Args: stored: a value that `packed` made."""
        self._stored = stored
        self._starts = _starts(stored) if isinstance(stored, bytes) else None
        self._whole: str | None = None
        self._blocks: dict[int, str | None] = {}

    def part(self, start: int, end: int) -> str | None:
        """The characters from `start` to `end`; None if `packed` cannot have made this."""
        if self._starts is None:
            if self._whole is None:
                self._whole = unpacked(self._stored)
            return None if self._whole is None else self._whole[start:end]
        first, last = start // BLOCK, max(start, end - 1) // BLOCK
        several = []
        for at in range(first, min(last, len(self._starts) - 2) + 1):
            if at not in self._blocks:
                assert isinstance(self._stored, bytes)
                self._blocks[at] = _block(self._stored, self._starts, at)
            block = self._blocks[at]
            if block is None:
                return None
            several.append(block)
        return "".join(several)[start - first * BLOCK : end - first * BLOCK]


def _all_blocks(stored: bytes, starts: list[int]) -> str | None:
    blocks, size = [], 0
    for at in range(len(starts) - 1):
        block = _block(stored, starts, at)
        size += 0 if block is None else len(block)
        if block is None or size > _MOST * len(stored):
            return None
        blocks.append(block)
    return "".join(blocks)


def _block(stored: bytes, starts: list[int], at: int) -> str | None:
    """The text of a block; None if it is none."""
    compressed = memoryview(stored)[starts[at] : starts[at + 1]]
    try:
        # Without the end of the stream; `packed` flushed all that is in the block.
        plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(compressed, _CHARACTER * BLOCK)
        text = plain.decode("utf-8")
    except (zlib.error, UnicodeDecodeError):
        return None
    is_last = at == len(starts) - 2
    return text if is_last or len(text) == BLOCK else None


def _in_blocks(text: str) -> bytes:
    machine, parts, starts, size = zlib.compressobj(), [], [], 0
    for at in range(0, len(text), BLOCK):
        block = machine.compress(text[at : at + BLOCK].encode("utf-8"))
        parts.append(block + machine.flush(zlib.Z_FULL_FLUSH))
        starts.append(size)
        size += len(parts[-1])
    starts[0] = _HEADER
    table = np.array(starts, "<u8").tobytes()
    return b"".join([*parts, machine.flush(), table, _END.pack(len(starts), _MARK)])


def _starts(stored: bytes) -> list[int] | None:
    """Where the blocks begin, and where the last ends at most; None if it has no blocks."""
    if len(stored) < _END.size:
        return None
    count, mark = _END.unpack_from(stored, len(stored) - _END.size)
    table = len(stored) - _END.size - 8 * count
    if mark != _MARK or count < 2 or table < _HEADER:
        return None
    starts = [*np.frombuffer(stored, "<u8", count, table).tolist(), table]
    rising = all(one < next for one, next in pairwise(starts))
    return starts if rising and starts[0] == _HEADER else None
