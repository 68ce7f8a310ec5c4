"""Pace: how much text is encoded at once, so that no call takes long on any machine."""

from __future__ import annotations

SECONDS = 3.0
"""What one call is to take; an interruption can cost two of them, and what was not committed."""

LEAST = 8
"""The least text of a call is this part of the most: a slower encoder is one of single texts."""


class Pace:
    """Text of the next call, by how fast the last one was; the first is short.

    Attributes:
        characters: so many of them.
    """

    def __init__(self, most: int) -> None:
        """Begin with the least, and never ask for more than `most` characters."""
        self._most, self._least = most, max(1, most // LEAST)
        self.characters = self._least

    def note(self, characters: int, seconds: float) -> None:
        """A call on so much text took so long."""
        fitting = int(characters * SECONDS / max(seconds, 1e-9))
        self.characters = min(self._most, max(self._least, fitting))
