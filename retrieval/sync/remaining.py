"""How long the rest of a sync takes: the tokens to come, at the speed of the last minute."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from retrieval.documents import SourceFile
from retrieval.documents.formats.languages import extension_of

WINDOW_S = 60.0
"""What is older says nothing of the speed now: a laptop grows hot, other work comes and goes."""

_LEAST_S = 0.5
"""A shorter stretch says nothing yet."""


class Remaining:
    """The time left, in tokens that are encoded and not in bytes that are read.

    A byte of HTML or of records that have not changed gives far less to encode than one of prose.
    How much is known of each extension by the files of it that were read; of an extension that
    is still to come, by all files. A character of Bengali is several times as many tokens as one of
    English, and a folder often holds its languages one after the other: how many tokens a character
    is is known by all that was encoded, and only the speed by the last minute.
    """

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._unread: Counter[str] = Counter()  # bytes, by extension
        self._read: Counter[str] = Counter()
        self._gave: Counter[str] = Counter()  # characters to encode
        self._speed: deque[tuple[float, int]] = deque()  # seconds, tokens encoded
        for file in files:
            self._unread[extension_of(file.id)] += file.size

    def read(self, file: SourceFile) -> None:
        """A file is being read: it counts by its characters from now on."""
        self._unread[extension_of(file.id)] -= file.size

    def gave(self, file: SourceFile, characters: int) -> None:
        """A file that was read gave so much to encode."""
        self._read[extension_of(file.id)] += file.size
        self._gave[extension_of(file.id)] += characters

    def seconds(self, now: float, encoded: int, tokens: int, waiting: int) -> float | None:
        """Seconds that the rest takes; None while nobody knows.

        Args:
            now: seconds, of any clock that runs on.
            encoded: characters encoded so far.
            tokens: their tokens.
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
        """Characters that files which were not read yet will give to encode, as far as known."""
        read, gave = self._read.total(), self._gave.total()
        usual = gave / read if read else 1.0
        return sum(
            size * (self._gave[kind] / self._read[kind] if self._read[kind] else usual)
            for kind, size in self._unread.items()
        )
