"""Lines of a file of any size, read from any position, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 1 << 23
"""Bytes read at a time."""

LONGEST = 1 << 26
"""Maximum bytes of a line; a longer one is not a record of text."""


def lines(file: BinaryIO, start: int, stop: int) -> Iterator[bytes | None]:
    r"""The lines that begin at or after `start` and before `stop`, without their `\n`.

    Consecutive ranges yield each line exactly once. None stands for a line that is too long.

    Args:
        file: a seekable file.
        start: any position in the file, even inside a character.
        stop: another position, or the end.
    """
    if start >= stop:
        return
    at = max(0, start - 1)
    file.seek(at)
    # None: in a line that began before
    line: bytearray | None = bytearray() if start == 0 else None
    long = False
    while block := file.read(BLOCK):
        first = 0
        while (end := block.find(b"\n", first)) >= 0:
            if line is not None:
                yield (
                    None
                    if long or len(line) + end - first > LONGEST
                    else bytes(line + block[first:end])
                )
            first = end + 1
            if at + first >= stop:
                return
            line, long = bytearray(), False
        at += len(block)
        if line is None:
            if at >= stop:  # no line begins before `stop`
                return
        elif long or len(line) + len(block) - first > LONGEST:
            line, long = bytearray(), True
        else:
            line += block[first:]
    if line or long:
        yield None if long else bytes(line or b"")


def breaks(file: BinaryIO, start: int, stop: int) -> tuple[int, bool]:
    r"""How many `\n` are in a range of a file, and whether its last byte is one."""
    file.seek(start)
    count, last = 0, b""
    while start < stop and (block := file.read(min(BLOCK, stop - start))):
        count += block.count(b"\n")
        start += len(block)
        last = block[-1:]
    return count, last == b"\n"
