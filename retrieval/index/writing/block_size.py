"""Pace: how much text is encoded per call, so that no call takes long on any machine."""

from __future__ import annotations

SECONDS = 3.0
"""Target time of a call; an interruption loses at most two calls, and what is not committed."""

LEAST = 8
"""The minimum text of a call is this fraction of the maximum."""


class Pace:
    """Size of the next call, adapted to the speed of the last; the first is small.

    Attributes:
        characters: characters of text for the next call.
    """

    def __init__(self, most: int) -> None:
        """Begin with the minimum, and never exceed `most` characters."""
        self._most, self._least = most, max(1, most // LEAST)
        self.characters = self._least

    def note(self, characters: int, seconds: float) -> None:
        """Record the size and duration of a call."""
        fitting = int(characters * SECONDS / max(seconds, 1e-9))
        self.characters = min(self._most, max(self._least, fitting))
