"""Files that were damaged in every way: whatever comes, a format gives documents or one line."""

from __future__ import annotations

import random
from collections.abc import Sequence

from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.errors import DocumentError

from .outlines_for_tests import check


def documents(name: str, content: str | bytes, **said: bool) -> list[Parsed]:
    """What the format of a file of this name makes of it; the outlines are checked."""
    data = content.encode() if isinstance(content, str) else content
    made = format_of(name, data[:8192]).parse(data, Source(name, **said))
    found = [made] if isinstance(made, Parsed) else list(made)
    for one in found:
        check(one.text, one.outline)
        one.text.encode()
        one.title.encode()
        repr(one.metadata).encode()
        assert "\n" not in one.title
    return found


def survives(name: str, samples: Sequence[bytes], words: Sequence[bytes], times: int = 300) -> int:
    """Read damaged copies of files by the name's format; how many gave documents all the same.

    Args:
        name: of the file.
        samples: files that are as they should be.
        words: what the format gives a meaning to; put in at any place.
        times: so many copies are read.
    """
    chance = random.Random(7)
    read = 0
    for _ in range(times):
        data = bytearray(chance.choice(samples))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(data) + 1)
            to = min(len(data), at + chance.choice((0, 1, 3, 40, 400)))
            kind = chance.randrange(6)
            if kind == 0:
                del data[at:to]
            elif kind == 1:
                data[at:at] = data[at:to] * chance.choice((1, 2, 30))
            elif kind == 2:
                data[at:at] = chance.choice(words)
            elif kind == 3:
                data[at:to] = chance.randbytes(to - at)
            elif kind == 4:
                other = chance.choice(samples)
                data[at:to] = other[at // 2 : at // 2 + 100]
            elif at < len(data):
                data[at] ^= 1 << chance.randrange(8)
        try:
            documents(name, bytes(data))
        except DocumentError as error:
            assert "\n" not in str(error)
        else:
            read += 1
    return read
