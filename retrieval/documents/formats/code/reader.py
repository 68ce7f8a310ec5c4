"""How a parser gets a source: piece by piece, from buffers that are used again.

tree-sitter 0.26 never releases what a read function returns, so a source that is returned itself
stays in memory for good: some 200 MB after 24 thousand files. And only a parser that reads by a
function can be stopped.
"""

from __future__ import annotations

import threading

_SMALLEST, _LARGEST = 3, 16  # powers of two, in bytes
_TEXT = 64  # bytes of a node that are read at once
_ENDING = b"\n"  # some grammars look for the end of a last line that has none, for ever


class _Buffers(threading.local):
    """A thread's buffers, of 8 bytes, 16, ... 64 KiB."""

    def __init__(self) -> None:
        powers = range(_SMALLEST, _LARGEST + 1)
        self.of_powers = [memoryview(bytearray(1 << power)) for power in powers]


_buffers = _Buffers()


class Reader:
    """Gives what a source has from a byte on, as `tree_sitter.Parser.parse` asks for it.

    Attributes:
        parsing: whether a parser reads; then a piece changes once the next is asked for. Queries
            read the text of nodes, of which they need bytes.
    """

    def __init__(self, source: bytes) -> None:
        self.parsing = True
        self._source = source
        self._buffers = _buffers.of_powers

    def __call__(self, at: int, point: object) -> memoryview | bytes:
        """Some of the source from that byte on; after its end a line break, then nothing."""
        left = len(self._source) - at
        if not self.parsing:
            return self._source[at : at + _TEXT] or _ENDING[-left:]
        if left < 1 << _SMALLEST:
            return self._source[at:] or _ENDING[-left:]
        buffer = self._buffers[min(left.bit_length() - 1, _LARGEST) - _SMALLEST]
        buffer[:] = self._source[at : at + len(buffer)]
        return buffer
