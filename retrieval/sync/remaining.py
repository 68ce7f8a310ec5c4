"""How long the rest of a sync takes, from the remaining tokens and the recent speed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from retrieval.documents import SourceFile
from retrieval.documents.formats.languages import extension_of

WINDOW_S = 60.0
"""Only this window counts as present speed: a laptop gets hot, other work comes and goes."""

_LEAST_S = 0.5
"""A shorter time does not give a speed yet."""


class Remaining:
    """The time left, estimated by tokens to encode, not by bytes to read.

    A byte of HTML or of unchanged records gives far less to encode than one of prose. How much is
    estimated for each extension from its files read so far; for an extension that is still to come,
    from all files. A character of Bengali is several times as many tokens as one of English, and a
    folder often has its languages one after the other: tokens per character are estimated from all
    that was encoded, and only the speed from the last minute.
    """

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._unread: Counter[str] = Counter()  # bytes, by extension
        self._read: Counter[str] = Counter()
        self._gave: Counter[str] = Counter()  # characters to encode
        self._speed: deque[tuple[float, int]] = deque()  # seconds, tokens encoded
        for file in files:
            self._unread[extension_of(file.id)] += file.size

    def read(self, file: SourceFile) -> None:
        """Note that a file is being read: it counts by its characters from now on."""
        self._unread[extension_of(file.id)] -= file.size

    def gave(self, file: SourceFile, characters: int) -> None:
        """Note how many characters a file gave to encode."""
        self._read[extension_of(file.id)] += file.size
        self._gave[extension_of(file.id)] += characters

    def seconds(self, now: float, encoded: int, tokens: int, waiting: int) -> float | None:
        """Seconds left; None while there is no estimate.

        Args:
            now: seconds, of any monotonic clock.
            encoded: characters encoded so far.
            tokens: tokens of those.
            waiting: characters that were read and are not encoded yet.
        """
        samples = self._speed
        if not samples or samples[-1][1] != tokens:
            samples.append((now, tokens))
        while len(samples) > 2 and now - samples[1][0] > WINDOW_S:
            samples.popleft()
        span, done = now - samples[0][0], tokens - samples[0][1]
        if span < _LEAST_S or done <= 0 or encoded <= 0:
            return None
        return (waiting + self._to_come()) * tokens / encoded * span / done

    def _to_come(self) -> float:
        """Estimated characters to encode in files that were not read yet."""
        read, gave = self._read.total(), self._gave.total()
        usual = gave / read if read else 1.0
        return sum(
            size * (self._gave[kind] / self._read[kind] if self._read[kind] else usual)
            for kind, size in self._unread.items()
        )
