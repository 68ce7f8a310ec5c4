"""How much memory, time and text a file's parser may take."""

MEMORY = 1 << 30
"""Bytes that a parser may map, beside the file and what its process holds before."""
SECONDS = 30
"""Of a processor's time, for any file."""
SECONDS_PER_MEGABYTE = 3
"""More, for each that a file has."""
PATIENCE = 4
"""So many times as long by the clock: other programs may have the processor."""
ANSWER = 1 << 28
"""Bytes of all that a file gives, as they are sent."""
FILES = 1000
"""A process that has read so many is replaced: libraries leak."""
HELD = 1 << 28
"""So is one that has held so many bytes."""


def seconds_for(size: int) -> int:
    """Seconds of a processor's time for a file of so many bytes."""
    return SECONDS + SECONDS_PER_MEGABYTE * (size >> 20)
